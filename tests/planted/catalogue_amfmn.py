"""The planted bugs of AMFMN and of its operations; `catalogue` says what a row is."""

from catalogue import bugs

# fmt: off

# ---- operations -----------------------------------------------------------------------------------------------------

PRELU = "ops/test_prelu.py::"
bugs(
    "ops/prelu.py",
    ("slope-subtracted", "xp.where(positive, x, slope * x)", "xp.where(positive, x, -slope * x)",
     PRELU + "test_a_slope_for_each_channel"),
    ("slope-everywhere", "xp.where(cache.positive, dy, cache.slope * dy)", "cache.slope * dy", "gradcheck:prelu"),
    ("dslope-of-all", "column_sum(xp.where(cache.positive, 0, dy * cache.x))", "column_sum(dy * cache.x)",
     "gradcheck:prelu"),
    ("kink-on-the-other-side", "positive = x.real > 0", "positive = x.real >= 0",
     PRELU + "test_the_kink_belongs_to_the_negative_side"),
)

bugs(
    "ops/sigmoid.py",
    ("derivative-of-tanh", "dy * cache.y * (1 - cache.y)", "dy * (1 - cache.y * cache.y)", "gradcheck:sigmoid"),
)

bugs(
    "ops/tanh.py",
    ("half-the-argument", "get_xp(x).tanh(x)", "get_xp(x).tanh(x / 2)",
     "ops/test_tanh.py::test_the_quotient_of_exponentials"),
    ("derivative-of-the-logistic", "dy * (1 - cache.y * cache.y)", "dy * cache.y * (1 - cache.y)", "gradcheck:tanh"),
)

UPSAMPLE = "ops/test_upsample.py::test_every_pixel_from_its_neighbours"
bugs(
    "ops/upsample.py",
    ("corners-aligned", "(longer + 0.5) / factor - 0.5, 0, size - 1",
     "longer * (size - 1) / max(factor * size - 1, 1), 0, size - 1", UPSAMPLE + "[bilinear]"),
    ("interleaved", "longer // factor == pixels", "longer % size == pixels", UPSAMPLE + "[nearest]"),
    ("beyond-the-border", "xp.clip((longer + 0.5) / factor - 0.5, 0, size - 1)", "(longer + 0.5) / factor - 0.5",
     UPSAMPLE + "[bilinear]"),
    ("rows-and-columns-swapped", "return columns @ taller, Up", "return taller.transpose(0, 2, 1, 3), Up",
     UPSAMPLE + "[nearest]"),
    ("a-mean-backwards", "return (cache.rows.T @ narrower", "return (cache.rows.T / 2 @ narrower",
     "gradcheck:upsample/nearest"),
)

bugs(
    "ops/unit_rows.py",
    ("squared-length", "xp.sqrt(xp.where(zero, 1, square))", "xp.where(zero, 1, square)",
     "ops/test_unit_rows.py::test_length_one_and_the_same_direction"),
    ("length-a-constant", "dy - y * (y * dy).sum(axis=-1, keepdims=True)", "dy", "gradcheck:unit_rows"),
    ("gradient-at-zero", "xp.where(zero, 0, dy - y * (y * dy).sum(axis=-1, keepdims=True))",
     "(dy - y * (y * dy).sum(axis=-1, keepdims=True))",
     "ops/test_unit_rows.py::test_zeros_stay_zeros_and_have_no_gradient"),
    ("nan-is-zero", "zero = square.real <= 0", "zero = ~(square.real > 0)",
     "ops/test_not_finite.py::test_a_vector_with_a_nan_has_no_direction"),
)

bugs(
    "ops/cosine.py",
    ("one-length-forgotten", "return a @ b.T,", "return a @ t.T,", "ops/test_cosine.py::test_every_pair_by_itself"),
    ("sides-swapped", "unit_rows_backward(ds.T @ cache.v.y, cache.t)",
     "unit_rows_backward(ds.T @ cache.v.y, cache.t) * 0.5", "gradcheck:cosine"),
)

bugs(
    "ops/embedding.py",
    ("padding-read", "table[numbers] * (numbers > 0)[..., None]", "table[numbers]",
     "ops/test_embedding.py::test_rows_of_the_table_and_zeros_for_padding"),
    ("last-use-counts", "xp.add.at(dtable, cache.numbers.ravel(), dy.reshape(-1, cache.shape[1]))",
     "dtable[cache.numbers.ravel()] = dy.reshape(-1, cache.shape[1])", "gradcheck:embedding"),
    ("padding-learns", "    dtable[:1] = 0\n", "",
     "ops/test_embedding.py::test_a_row_that_is_read_twice_learns_twice_and_padding_never"),
)

bugs(
    "ops/time_mean.py",
    ("over-padding-too", "valid / xp.maximum(lengths, 1)[:, None]", "valid / x.shape[1]",
     "ops/test_time_mean.py::test_the_mean_of_the_valid_steps"),
    ("one-step-more", "[None, :] < lengths[:, None]", "[None, :] <= lengths[:, None]",
     "ops/test_time_mean.py::test_the_mean_of_the_valid_steps"),
    ("everywhere", "return dy[:, None, :] * cache.weights", "return dy[:, None, :] * cache.weights.mean(axis=0)",
     "gradcheck:time_mean"),
)

CELL = "ops/test_gru.py::test_a_cell_number_by_number"
bugs(
    "ops/gru_cell.py",
    ("update-gate-turned-round", "return (1 - z) * n + z * h, Gru", "return z * n + (1 - z) * h, Gru",
     CELL + "[after]"),
    ("reset-on-the-input-too", "a[:, 2 * d :] + r * product", "r * (a[:, 2 * d :] + product)", CELL + "[after]"),
    ("reset-forgotten", "product = r * h", "product = h + 0 * r", CELL + "[before]"),
    ("gates-swapped", "z, _ = sigmoid(a[:, d : 2 * d] + c[:, d:])", "z, _ = sigmoid(a[:, :d] + c[:, :d])",
     CELL + "[after]"),
    ("candidate-is-linear", "dy * (1 - z) * (1 - n * n)", "dy * (1 - z)", "gradcheck:gru_cell/after"),
    ("memory-forgotten", "dh = dh + dy * z + gates @ u[:, : 2 * d].T", "dh = dh + gates @ u[:, : 2 * d].T",
     "gradcheck:gru_cell/before"),
    ("reset-learns-from-the-state", "dq, dr = da_n * r, da_n * product", "dq, dr = da_n * r, da_n * h",
     "gradcheck:gru_cell/after"),
    ("way-through-the-reset-lost", "dm * h, product.T @ da_n, dm * r", "dm * h, product.T @ da_n, dm",
     "gradcheck:gru_cell/before"),
)

SEQUENCES = "ops/test_gru.py::test_sequences_one_by_one_without_their_padding"
bugs(
    "ops/gru.py",
    ("padding-is-a-word", "h = xp.where(valid, new, h)", "h = new", SEQUENCES + "[after-False-gru]"),
    ("always-forwards", "reversed(range(t_all)) if reverse else range(t_all)", "range(t_all)",
     SEQUENCES + "[after-True-gru]"),
    ("padding-does-not-pass-on", "dh = dh + xp.where(valid, 0, d)", "dh = dh + 0 * d", "gradcheck:gru/after"),
    ("no-way-back-in-time", "d = dy[:, t] + dh", "d = dy[:, t] + 0 * dh", "gradcheck:gru/reverse"),
    ("weights-of-one-step", "total + part for total, part", "part for total, part", "gradcheck:gru/before"),
)

TWINS = "ops/test_gru.py::test_the_fused_twin_gives_the_same_states_and_gradients"
bugs(
    "ops/fused/gru_by_length.py",
    ("lengths-without-a-sign", "np.argsort(-lengths.astype(\"int64\")", "np.argsort(-lengths",
     "ops/test_gru.py::test_lengths_of_any_whole_numbers[uint8]"),
    ("shortest-first", "np.argsort(-lengths", "np.argsort(lengths", SEQUENCES + "[before-True-gru_by_length]"),
    ("left-sorted", "out[order] = states.transpose(1, 0, 2)", "out[:] = states.transpose(1, 0, 2)",
     SEQUENCES + "[after-False-gru_by_length]"),
    ("gate-not-kept", "a[:, : 2 * d], a[:, 2 * d :] = rz, candidate", "a[:, 2 * d :] = candidate",
     TWINS + "[after-False]"),
    ("dx-left-sorted", "dx[order] = (rows @ w.T)", "dx[:] = (rows @ w.T)", TWINS + "[after-True]"),
    ("du-of-the-states-after", "past.T @ through_u.reshape(t_all * n, 3 * d)",
     "past.T @ rows", TWINS + "[after-False]"),
    ("reset-before-as-after", "dm = dn @ u[:, 2 * d :].T", "dm = dn * r", TWINS + "[before-True]"),
)

# ---- networks and equations -----------------------------------------------------------------------------------------

MAPS = "amfmn/test_amfmn_features.py::"
bugs(
    "nets/conv_maps.py",
    ("first-maps-kept", "return tuple(maps[arch.skipped :])", "return tuple(maps[: len(maps) - arch.skipped])",
     MAPS + "test_every_block_behind_the_first_ones_gives_a_map[1]"),
    ("statistics-of-the-first", "        blocks.append(cache)\n", "        blocks.insert(0, cache)\n",
     "gradcheck:conv_maps"),
    ("next-block-forgotten", "dh = dmap if dh is None else dmap + dh", "dh = dmap", "gradcheck:conv_maps/all"),
)

bugs(
    "amfmn/eq5_features.py",
    ("high-maps-as-large-as-the-first", "maps[0].shape[1] if i < low else side", "maps[0].shape[1]",
     MAPS + "test_low_and_high_maps_and_the_mean_of_the_last[nearest]"),
    ("vector-of-the-first-map", "global_mean(maps[-1])", "global_mean(maps[-1] * 0 + maps[-1][:, ::-1, ::-1].max())",
     MAPS + "test_low_and_high_maps_and_the_mean_of_the_last[nearest]"),
    ("one-map-less", "larger[:low], larger[low:]", "larger[: low + 1], larger[low:]",
     MAPS + "test_low_and_high_maps_and_the_mean_of_the_last[bilinear]"),
    ("vector-pulls-at-nothing", "maps[-1] = maps[-1] + global_mean_backward(dpooled, cache.mean)",
     "maps[-1] = maps[-1] + 0 * global_mean_backward(dpooled, cache.mean)", "gradcheck:amfmn/features/nearest"),
    ("always-the-first-channels", "        start += channels\n", "        start += 0\n",
     "gradcheck:amfmn/features/bilinear"),
)

MASK = "amfmn/test_amfmn_visual_attention.py::test_a_mask_from_the_maps_pixel_by_pixel"
bugs(
    "amfmn/eq14_visual_attention.py",
    ("added-and-not-masked", "return v * mask, Visual", "return v + mask, Visual", MASK, "mvsa"),
    ("residual-swapped", '(high if residual == "raw" else coarse)', '(coarse if residual == "raw" else high)', MASK,
     "residual=raw", "residual=convolved"),
    ("prelu-always", 'if activation == "prelu":', "if True:", MASK, "map_activation=none"),
    ("prelu-of-the-fine-alone", 'coarse, steps["high.act"] = prelu(coarse, params["high.slope"])',
     'coarse, steps["high.act"] = prelu(coarse, 1 + 0 * params["high.slope"])', MASK, "map_activation=prelu"),
    ("length-squared", "        mixed, steps[\"unit\"] = unit_rows(mixed)\n",
     "        mixed, steps[\"unit\"] = unit_rows(mixed * 2)\n        mixed = mixed * 2\n", MASK, "unit_maps"),
    ("gate-twice", "pixels = (value * gate)", "pixels = (gate * gate)", MASK),
    ("mean-forgotten", "    dmean = dmixed.sum(axis=3, keepdims=True)\n", "    dmean = 0 * dmixed[..., :1]\n",
     "gradcheck:amfmn/visual_attention/paper"),
    ("mean-a-sum", "dcoarse = dcoarse + dmean / e", "dcoarse = dcoarse + dmean",
     "gradcheck:amfmn/visual_attention/convolved"),
    ("value-learns-alone", 'dvalue @ params["value.w"].T + dgate @ params["gate.w"].T', 'dvalue @ params["value.w"].T',
     "gradcheck:amfmn/visual_attention/released"),
    ("vector-unmasked", "(dlow, dhigh, dout * cache.mask)", "(dlow, dhigh, dout + 0 * cache.mask)",
     "gradcheck:amfmn/visual_attention/no-unit"),
)

TEXTS = "amfmn/test_amfmn_texts.py::"
bugs(
    "amfmn/eq10_sentence.py",
    ("sum-of-directions", "time_mean((states + others) / 2, lengths)", "time_mean(states + others, lengths)",
     TEXTS + "test_the_mean_over_both_directions_and_all_words", "sentence=mean"),
    ("both-forwards", "lengths=lengths, reset=reset, reverse=True", "lengths=lengths, reset=reset, reverse=False",
     TEXTS + "test_the_mean_over_both_directions_and_all_words"),
    ("first-state", "linear(states[:, -1], params", "linear(states[:, 0], params",
     TEXTS + "test_the_last_state_of_one_direction_rectified", "sentence=last"),
    ("one-direction-learns", '+ through("backward", half, cache.backward)',
     '+ 0 * through("backward", half, cache.backward)', "gradcheck:amfmn/sentence/mean"),
    ("not-rectified-back", "linear_backward(relu_backward(ds, cache.relu), cache.linear)",
     "linear_backward(ds, cache.linear)", TEXTS + "test_what_is_switched_off_learns_nothing"),
)

KEYS = TEXTS + "test_the_mean_over_the_keywords_that_there_are"
bugs(
    "amfmn/eq13_keywords.py",
    ("mean-over-empty-places", "xp.maximum(given.sum(axis=1, keepdims=True), 1)", "count", KEYS, "text=keywords"),
    ("first-word-of-a-keyword", "mean = (states[:, -1]", "mean = (states[:, 0]", KEYS),
    ("shares-forgotten", "(dmean[:, None, :] * cache.weights)", "(dmean[:, None, :] + 0 * cache.weights)",
     "gradcheck:amfmn/keywords"),
)

PAIRS = "amfmn/test_amfmn_similarity.py::"
VGA = PAIRS + "test_what_an_image_makes_of_a_text"
bugs(
    "amfmn/eq20_guided_attention.py",
    ("soft-gate-of-the-text", 'sigmoid(v @ w["gate"] + b["gate"])', 'sigmoid(t @ w["gate"] + b["gate"])',
     VGA + "[soft]", "attention=soft"),
    ("fusion-without-gate", "y = value * gate", "y = value + 0 * gate", VGA + "[fusion]", "attention=fusion"),
    ("vector-a-scalar", "sigmoid(f_v * f_t)", "sigmoid((f_v * f_t).sum(axis=-1, keepdims=True) + 0 * f_t * f_v)",
     VGA + "[vector]", "attention=vector"),
    ("scalar-of-products", "sigmoid((u_v * u_t).sum(axis=-1, keepdims=True))",
     "sigmoid((f_v * f_t).sum(axis=-1, keepdims=True))", VGA + "[scalar]", "attention=scalar"),
    ("none-is-half", "y = value = t + 0 * v", "y = value = t / 2 + 0 * v", VGA + "[none]", "attention=none"),
    ("gate-learns-nothing", "dz = sigmoid_backward(dgate, logistic)", "dz = 0 * sigmoid_backward(dgate, logistic)",
     "gradcheck:amfmn/guided_attention/soft"),
    ("repeated-side-counted-once", "return d.sum(axis=axes, keepdims=True) if axes else d",
     "return d.mean(axis=axes, keepdims=True) if axes else d", "gradcheck:amfmn/guided_attention/all-pairs"),
    ("text-learns-by-value-alone", "dz * value, dvalue + dz * units[0]", "dz * value, dvalue + 0 * dz",
     "gradcheck:amfmn/guided_attention/vector"),
)

VGMF = PAIRS + "test_sentence_and_keywords_in_shares"
bugs(
    "amfmn/eq26_fusion.py",
    ("shares-swapped", "y = c + gate * (a - c)", "y = a + gate * (c - a)", VGMF, "fusion=gate", "text=both"),
    ("fixed-is-a-sum", "return (a + c) / 2, Fusion", "return (a + c), Fusion", VGMF, "fusion=fixed"),
    ("normalised-the-other-way", "(unit_s, unit_k) if normalised else (s, k)",
     "(s, k) if normalised else (unit_s, unit_k)",
     VGMF, "unit_texts"),
    ("gate-reads-nothing", "dz = sigmoid_backward(dy * (a - c), logistic)",
     "dz = 0 * sigmoid_backward(dy * c, logistic)",
     "gradcheck:amfmn/fusion/gate"),
    ("vectors-as-they-are-forgotten", "(ds, dk) if normalised else (ds + da, dk + dc)", "(ds, dk)",
     "gradcheck:amfmn/fusion/unnormalised"),
)

bugs(
    "amfmn/eq1_similarity.py",
    ("soft-length-of-the-text-alone", "q = (gate * gate) @ (t * t).T", "q = (0 * gate + 1) @ (t * t).T",
     PAIRS + "test_the_soft_gate_in_closed_form"),
    ("soft-image-not-normalised", "((unit * gate) @ t.T) / length", "((v * gate) @ t.T) / length",
     PAIRS + "test_the_soft_gate_in_closed_form"),
    ("soft-nan-is-a-score", "zero = q.real <= 0", "zero = ~(q.real > 0)",
     PAIRS + "test_what_is_no_number_has_no_score"),
    ("soft-length-a-constant", "dq = -0.5 * dp * scores / length", "dq = 0 * dp * scores / length",
     "gradcheck:amfmn/soft_similarity"),
    ("soft-gate-learns-half", "sigmoid_backward(unit * through + 2 * gate", "sigmoid_backward(unit * through + gate",
     "gradcheck:amfmn/soft_similarity"),
    ("last-tile-alone", "scores[rows, columns] = _tile", "scores[:, columns] = _tile",
     PAIRS + "test_tiles_change_no_gradient[soft]"),
    ("keywords-gate-for-sentences", '("s", s) if k is None else ("k", k)', '("k", s) if k is None else ("k", k)',
     PAIRS + "test_a_scalar_gate_turns_no_text_and_so_a_cosine_never_sees_it"),
    ("one-tile-of-the-texts-gradient", "dt[columns] += dt_ij[0]", "dt[columns] = dt_ij[0]",
     PAIRS + "test_tiles_change_no_gradient[fusion]"),
    ("scalar-sees-the-image", "cosine_backward(ds, closed[1])", "cosine_backward(2 * ds, closed[1])",
     "gradcheck:amfmn/similarity/scalar"),
)

LOSS = "amfmn/test_amfmn_triplet.py::"
bugs(
    "amfmn/eq30_triplet.py",
    ("own-of-the-other-side", "margin - own[None, :] + scores", "margin - own[:, None] + scores",
     LOSS + "test_every_negative_against_its_own_margin[False]", "negatives=all"),
    ("margin-subtracted", "margin - own[:, None] + scores, margin", "scores - own[:, None] - margin, margin",
     LOSS + "test_every_negative_against_its_own_margin[False]"),
    ("on-at-the-kink", "negative & ~(term.real <= 0)", "negative & ~(term.real < 0)",
     LOSS + "test_at_its_kink_a_hinge_has_the_gradient_zero"),
    ("hardest-along-the-other-side", "xp.where(texts, by_image.real, -1), 1)", "xp.where(texts, by_image.real, -1), 0)",
     LOSS + "test_every_negative_against_its_own_margin[True]", "negatives=hardest"),
    ("all-are-negatives", "texts, images = (negative & ~(term.real <= 0)",
     "texts, images = ((negative | True) & ~(term.real <= 0)",
     LOSS + "test_a_pair_that_is_no_negative_pulls_at_nothing", "own_captions=masked"),
    ("one-direction-pulls", "texts.sum(axis=1) + images.sum(axis=0)", "texts.sum(axis=1) + images.sum(axis=1)",
     "gradcheck:amfmn/triplet/sum"),
    ("nan-costs-nothing", "negative & ~(term.real <= 0)", "negative & (term.real > 0)",
     LOSS + "test_a_score_that_is_no_number_makes_no_loss_that_is_one"),
    ("mean-forgotten-backwards", "(texts + images - own) * (dloss * cache.scale)", "(texts + images - own) * dloss",
     "gradcheck:amfmn/triplet/mean", "loss=mean", "loss=sum"),
)

bugs(
    "amfmn/eq29_margin.py",
    ("turned-round", "gamma * (1 - xp.expm1(beta * prior) /", "gamma * (xp.expm1(beta * prior) /",
     LOSS + "test_a_margin_is_gamma_for_strangers_and_nothing_for_twins", "margin.gamma"),
    ("beta-twice", "xp.expm1(beta * prior)", "xp.expm1(beta * beta * prior)",
     LOSS + "test_a_margin_is_gamma_for_strangers_and_nothing_for_twins", "margin.beta"),
    ("powers-overflow", "if not 0 <= beta <= LARGEST_BETA:", "if not 0 <= beta <= 8 * LARGEST_BETA:",
     LOSS + "test_a_margin_of_any_beta_is_a_number"),
)

WHOLE = "amfmn/test_amfmn_objective.py::"
bugs(
    "amfmn/networks.py",
    ("dropout-forgotten", "v, dropped = dropout(v, dropout_mask, arch.image_dropout)",
     "_, dropped = dropout(v, dropout_mask, arch.image_dropout)",
     WHOLE + "test_an_image_step_by_step", "image_dropout"),
    ("mask-whether-or-not", "    if arch.mask:\n        readings", "    if not arch.mask:\n        readings",
     WHOLE + "test_an_image_step_by_step"),
    ("dropout-not-undone", "dv = dropout_backward(dv, cache.dropout)", "dv = dv + 0",
     "gradcheck:amfmn/image_network/paper"),
    ("weights-learn-from-the-first-block", "add_parts([part for part, _ in parts])",
     "add_parts([part for part, _ in parts[:1]])", "gradcheck:amfmn/image_network/paper"),
    ("blocks-out-of-order", "concatenate([v for v, _ in parts])", "concatenate([v for v, _ in parts[::-1]])",
     WHOLE + "test_an_image_step_by_step"),
    ("maps-learn-nothing", "Features(dlow, dhigh, dv), cache.features", "Features(dlow, 0 * dhigh, dv), cache.features",
     "gradcheck:amfmn/image_network/released"),
    ("padding-has-a-length", "lengths = (words > 0).sum(axis=1)", "lengths = (words > -1).sum(axis=1)",
     WHOLE + "test_a_text_step_by_step"),
    ("words-of-sentences-kept", "x, None) if dropout_mask is None else dropout(x, dropout_mask, arch.word_dropout)",
     "x, None) if dropout_mask is not None else dropout(x, (words > -1)[..., None], arch.word_dropout)",
     WHOLE + "test_a_text_step_by_step", "word_dropout"),
    ("table-of-one-branch", "dtable + embedding_backward(dx, read)", "embedding_backward(dx, read) + 0 * dtable",
     "gradcheck:amfmn/text_network/both"),
)
bugs(
    "amfmn/objective.py",
    ("margin-halved", "triplet(scores, margin, negative,", "triplet(scores, margin / 2, negative,",
     WHOLE + "test_the_loss_of_the_scores_of_both_networks"),
    ("texts-swapped", "TextVectors(ds, dk), cache.text", "TextVectors(dk, ds), cache.text",
     "gradcheck:amfmn/objective/both"),
)

bugs(
    "amfmn/label_objective.py",
    ("labels-of-the-first-map", "global_mean(maps[-1])", "global_mean(maps[-1][:, :1])",
     WHOLE + "test_the_labels_from_the_mean_of_the_last_map", "pretrain"),
    ("trunk-learns-twice", "global_mean_backward(dpooled, cache.mean))",
     "2 * global_mean_backward(dpooled, cache.mean))",
     "gradcheck:amfmn/label_objective/softmax"),
)

UNIT = "test_kernels.py::test_a_recurrent_unit_is_the_plain_one"
bugs(
    "ops/fused/gru_on_device.py",
    ("unit-reads-the-step-behind", "past = states[1:] if reverse else states[:-1]", "past = states[:-1]",
     UNIT + "[float64-True-4-5-3-2]"),
    ("unit-goes-back-in-the-same-order", "for t in range(t_all) if reverse else reversed(range(t_all)):",
     "for t in range(t_all):", UNIT + "[float64-False-4-5-3-2]"),
    ("unit-begins-at-the-other-end", "for t in reversed(range(t_all)) if reverse else range(t_all):",
     "for t in range(t_all):", UNIT + "[float64-True-4-5-3-2]"),
    ("unit-forgets-u", "through = dc[t] @ u.T", "through = da[t] @ u.T", UNIT + "[float64-False-4-5-3-2]"),
)
bugs(
    "kernel_texts.py",
    ("padding-is-a-word-on-a-gpu", "next = t < lengths[sample] ? n + z * (h - n) : h;", "next = n + z * (h - n);",
     UNIT + "[float64-False-4-5-3-2]"),
    ("padding-keeps-its-share", "kept = valid ? g * z : g;", "kept = g * z;", UNIT + "[float64-False-7-12-5-6]"),
)

bugs(
    "search.py",
    ("unread-is-unsaid", 'if text == "both" or not sentence', "if text or not sentence",
     "amfmn/test_amfmn_system.py::test_what_a_run_does_not_read_of_a_query_is_said[sentence-keywords]"),
)
SETS = "amfmn/test_amfmn_settings.py::test_changes_the_result"
RUNS = "amfmn/test_amfmn_system.py::test_"
SILENT = "strict/test_launches.py::test_nothing_is_sent_in_a_step_of_images_and_captions_and_it_is_numpy_s"
bugs(
    "amfmn/match.py",
    ("trunk-always-small", 'if settings.trunk == "conv":', 'if settings.trunk == "con":', SETS + "[trunk]",
     "trunk=small", "trunk=conv"),
    ("wide-as-conv", 'elif settings.trunk == "wide":', 'elif settings.trunk == "wid":', SETS + "[trunk]", "trunk=wide"),
    ("width-lost", "tuple(width * c for c in channels)", "tuple(1 * c for c in channels)", SETS + "[trunk_width]",
     "trunk_width"),
    ("maps-lost", "(first, 1, 2, 2, 2), 5 - settings.maps", "(first, 1, 2, 2, 2), 1", SETS + "[maps]", "maps=4",
     "maps=5"),
    ("upsampling-lost", "upsampling=settings.upsampling,", 'upsampling="nearest",', SETS + "[upsampling]",
     "upsampling=nearest", "upsampling=bilinear"),
    ("reset-lost", "reset=settings.reset,", 'reset="after",', SETS + "[reset]", "reset=after", "reset=before"),
    ("sizes-lost", "d=settings.d,\n        word_width=settings.word_width,\n        map_channels=settings.map_channels",
     "d=6,\n        word_width=5,\n        map_channels=3", SETS + "[map_channels]", "map_channels", "d", "word_width"),
    ("text-lost", "text=settings.text,", 'text="sentence",', SETS + "[text]", "text=sentence"),
    ("test-captions-too", 'if settings.vocabulary == "all" else', 'if settings.vocabulary != "none" else',
     SETS + "[vocabulary]", "vocabulary=train", "vocabulary=all"),
    ("counts-ignored", "settings.min_count, settings.stop_words)", "1, settings.stop_words)", SETS + "[min_count]",
     "min_count"),
    ("falls-never", "0.7 ** (step // (steps * schedule.fall_every))", "1.0 ** (step // (steps * schedule.fall_every))",
     SETS + "[match.fall_every]", "match.fall_every", "match.schedule=steps"),
    ("falls-always", 'if schedule.schedule != "steps":', "if schedule.schedule is None:", SETS + "[match.schedule]",
     "match.schedule=constant", "match.schedule=cosine"),
    ("one-view", "images.each_view(rows) if average_views else", "[images.read(rows)] if average_views else",
     SETS + "[average_views]", "average_views"),
    ("average-lost", "xp, average_views=settings.average_views)", "xp)",
     RUNS + "views_are_averaged_where_the_epoch_is_chosen", "average_views"),
    ("always-the-first-caption", "(rng.random(len(images)) * count).astype(int)", "(0 * count).astype(int)",
     RUNS + "every_image_is_drawn_with_one_of_its_captions"),
    ("equal-texts-read-apart", "text_network(params, *there.rows(index[first[start",
     "text_network(params, *there.rows(index[first[::-1][start",
     RUNS + "what_is_stored_is_what_encode_gives_of_one_sample_alone"),
    ("read-alike-but-apart", '"sentence": [words],', '"sentence": [words, keywords],',
     RUNS + "texts_that_read_the_same_tie_and_are_one_text_beside[sentence-alike0]", "text=sentence"),
    ("words-of-the-other-part", 'x = words if settings.text == "sentence" else keywords', "pass",
     RUNS + "words_of_the_part_that_is_not_read_are_not_learned"),
    ("captions-sent-each-step", "*there.rows(caption), *margins", "*there.rows(caption.host), *margins",
     SILENT + "[last]"),
)
bugs(
    "amfmn/caption_margins.py",
    ("own-captions-are-negatives", 'if settings.own_captions == "masked":', 'if settings.own_captions == "all":',
     RUNS + "margins_and_negatives_of_a_batch_are_those_of_its_pairs", "own_captions=kept"),
    ("another-number-for-the-fixed", "xp.full((n, n), self.gamma", "xp.full((n, n), 2 * self.gamma",
     RUNS + "margins_and_negatives_of_a_batch_are_those_of_its_pairs", "margin.kind=fixed", "margin.kind=dynamic"),
    ("a-text-twice-counts-once", "order = np.lexsort((text, image))",
     "image, text = np.unique(np.stack([image, text]), axis=1)\n    order = np.lexsort((text, image))",
     "amfmn/test_amfmn_system.py::test_a_caption_that_an_image_has_twice_counts_twice"),
    ("texts-as-they-stand", "[words_read(text, settings.text) for text in", "[text for text in",
     RUNS + "texts_that_read_the_same_tie_and_are_one_text_beside[sentence-alike0]"),
    ("margins-of-other-texts", "self.alpha[rows][:, text]", "self.alpha[rows][:, text[::-1]]", SILENT + "[last]"),
)
bugs(
    "amfmn/system.py",
    ("trunk-begins-anew", 'params | {n: learned["params"][n] for n in params if n.startswith("trunk.")}', "params | {}",
     RUNS + "the_trunk_goes_on_where_the_labels_left_it"),
    ("released-one-way-only", 'to_host(score_distances(run, items["b"], items["a"])(slice(None)))', "d.T",
     RUNS + "what_stands_beside_is_in_the_released_order_both_ways"),
    ("begins-with-other-words", "if here != there:", "if len(here) != len(there):",
     RUNS + "a_run_does_not_begin_with_the_words_of_another"),
    ("bounds-of-texts-as-they-stand", "[words_read(run.dataset.modalities[\"b\"].texts[j], run.config.text) for",
     "[run.dataset.modalities[\"b\"].texts[j] for",
     RUNS + "texts_that_read_the_same_tie_and_are_one_text_beside[sentence-alike0]"),
    ("bounds-of-the-test-part", "rows = everything if part == \"all\" else getattr(run.parts, part)",
     "rows = run.parts.test",
     RUNS + "what_stands_beside_is_of_the_gallery_that_is_searched"),
    ("ties-beyond-a-digit", "5e-10 / items *", "1e-12 *", RUNS + "the_released_order_puts_the_last_of_equals_first"),
    ("ties-to-the-first", "found = found - 5e-10 /", "found = found + 5e-10 /",
     RUNS + "the_released_order_puts_the_last_of_equals_first", "ties=released", "ties=expected"),
)
PRIOR = "amfmn/test_amfmn_caption_prior.py::test_"
bugs(
    "amfmn/caption_prior.py",
    ("not-clipped", "(most >= k).astype(np.float32)", "(most >= 1).astype(np.float32)",
     PRIOR + "a_word_counts_no_more_often_than_a_reference_has_it"),
    ("brevity-forgotten", "np.minimum(0, 1 - r / c)", "0 * r / c", PRIOR + "every_score_is_nltks"),
    ("meteor-of-every-neighbour", "((m - together) / some) ** 3", "(m / some) ** 3", PRIOR + "every_score_is_nltks",
     "margin.prior=bleu-meteor"),
    ("own-caption-by-its-n-grams", "            score[i, [j for j in own if captions[j]]] = 1\n",
     "            score[i] += 0\n",
     PRIOR + "the_released_formula_gives_an_own_caption_a_bleu_of_one", "margin.prior=bleu-entity"),
    ("stop-words-always-before", 'if stop_words == "before":', "if True:",
     PRIOR + "stop_words_after_stemming_are_those_that_a_list_of_words_knows", "margin.stop_words=before",
     "margin.stop_words=after"),
)
CAPTIONS = "data/test_captions.py::test_"
bugs(
    "data/captions.py",
    ("any-name-by-its-number", "for path in files if _are_numbered(captions) else ():", "for path in files:",
     CAPTIONS + "sydneys_captions_are_not_read_beside_uc_merceds_images"),
    ("ids-that-stand-twice", "ids = captions.names", "pass",
     CAPTIONS + "images_of_one_name_in_two_folders_have_ids_of_their_own"),
    ("all-parts-or-none", 'if not (len(parts["train"]) and len(parts["test"])):',
     "if not all(map(len, parts.values())):",
     CAPTIONS + "a_file_without_a_validation_part_keeps_its_test_part"),
    ("bars-within-keywords", 'text.replace("|", " ") for text in (sentence, *phrases)',
     'text for text in (sentence.replace("|", " "), *phrases)', CAPTIONS + "a_bar_within_keywords_is_none"),
)
bugs(
    "data/splits.py",
    ("held-out-and-learned", "return Splits(train, held, parts.test)", "return Splits(parts.train, held, parts.test)",
     CAPTIONS + "a_file_without_a_validation_part_keeps_its_test_part"),
)
bugs(
    "data/vocabulary.py",
    ("accents-apart", 'unicodedata.normalize("NFC", text.lower())', "text.lower()",
     CAPTIONS + "a_letter_with_its_accent_is_one"),
    ("bars-are-words", "(len(row) - sentence - row.count(BAR), ", "(len(row) - sentence, ",
     CAPTIONS + "a_sentence_and_its_keywords_have_a_limit_each"),
    ("stop-words-known", 'if stop_words == "unknown":', 'if stop_words == "none":',
     "data/test_captions.py::test_only_words_of_the_given_captions_are_learned", "stop_words=kept",
     "stop_words=unknown"),
)

# ---- places, map coordinates, given maps --------------------------------------------------------------------------
PLACES = "amfmn/test_places.py::test_"
bugs(
    "places.py",
    ("slices-side-by-side", "range(0, n - side, max(side // 2, 1))", "range(0, n - side, side)",
     PLACES + "slices_begin_half_a_side_apart_and_reach_every_border"),
    ("border-not-reached", "*range(0, n - side, max(side // 2, 1)), n - side]", "*range(0, n - side + 1, side // 2)]",
     PLACES + "slices_begin_half_a_side_apart_and_reach_every_border"),
    ("sizes-by-their-number-of-slices", "median_filter(np.mean(levels, axis=0)", "median_filter(np.max(levels, axis=0)",
     PLACES + "heat_is_the_mean_of_the_sizes_means_at_the_middle_of_each_cell"),
    ("last-slice-wins", "total[down, across] += score", "total[down, across] = score",
     PLACES + "heat_is_the_mean_of_the_sizes_means_at_the_middle_of_each_cell"),
    ("places-touch", "abs(rows - row) < side, abs(columns - column) < side",
     "abs(rows - row) < cell, abs(columns - column) < cell",
     PLACES + "places_come_by_heat_and_do_not_touch"),
    ("first-of-a-plateau", "((cells - cells.mean(axis=0)) ** 2).sum(axis=1).argmin()", "0",
     PLACES + "a_plateau_is_met_in_its_middle"),
    ("far-is-hot", "return -to_host(in_units(", "return to_host(in_units(",
     PLACES + "a_tile_scores_as_the_image_that_it_is"),
    ("heat-in-levels", "in_units(distances, distances(slice(0, 1)))", "distances(slice(0, 1))",
     PLACES + "heat_is_minus_a_distance_in_the_units_of_the_embeddings"),
    ("slices-cut-not-resized", "np.rint(resize_image(part, size)[0]).astype(scene.dtype)", "part[0, :size, :size]",
     PLACES + "slices_of_another_size_are_brought_to_the_run_s"),
)
bugs(
    "data/geotiff.py",
    ("rows-go-north", "across, 0.0, x - across * column, 0.0, -down, y + down * row",
     "across, 0.0, x - across * column, 0.0, down, y - down * row", PLACES + "pixels_lie_on_the_map"),
    ("points-are-areas", "0.5 if keys.get(RASTER_TYPE) == PIXEL_IS_POINT else 0.0", "0.0",
     PLACES + "pixels_lie_on_the_map"),
    ("tiepoint-at-the-corner", "x - across * column, 0.0, -down, y + down * row", "x, 0.0, -down, y",
     PLACES + "pixels_lie_on_the_map"),
    ("turned-files-too", "return found if size_and_turn(path)[1] == 1 else None", "return found",
     PLACES + "files_that_do_not_say_where_they_lie"),
)
bugs(
    "nets/given_maps.py",
    ("skipped-from-behind", "return tuple(maps[arch.skipped :]), rows",
     "return tuple(maps[: len(maps) - arch.skipped]), rows",
     "amfmn/test_amfmn_features.py::test_rows_of_a_frozen_network_are_taken_apart_as_they_were_put_together"),
    ("features-before-the-maps", "maps, start = [], 0", "maps, start = [], arch.pooled",
     "amfmn/test_amfmn_features.py::test_rows_of_a_frozen_network_are_taken_apart_as_they_were_put_together"),
)
bugs(
    "amfmn/eq5_features.py",
    ("mean-of-the-map-all-the-same", "if pooled is None else (pooled, None)",
     "if pooled is None else global_mean(maps[-1])",
     "amfmn/test_amfmn_features.py::test_pooled_features_take_the_place_of_the_last_map_s_mean"),
)
bugs(
    "data/caption_report.py",
    ("blanks-are-texts-too", "for text in set(of_image) if text)", "for text in set(of_image))",
     "data/test_caption_report.py::test_blanks_and_uneven_numbers_of_captions"),
    ("one-text-is-enough", "known.issuperset(of_image)", "bool(known.intersection(of_image))",
     "data/test_caption_report.py::test_the_tiny_file_as_it_is"),
    ("twice-in-one-part", "len({captions.parts[i] for i in found}) > 1", "len(found) > 1",
     "data/test_caption_report.py::test_images_that_stand_twice"),
)
bugs(
    "data/query.py",
    ("keywords-alone-say-no-sentence", 'parts = [sentence if words_of(sentence) else " ".join(phrases), ',
     "parts = [sentence, ",
     "amfmn/test_amfmn_system.py::test_keywords_alone_are_the_sentence_and_a_sentence_gives_its_keywords"),
    ("a-sentence-gives-no-keywords", "*(phrases or filter_keywords(sentence))]", "*phrases]",
     "amfmn/test_amfmn_system.py::test_keywords_alone_are_the_sentence_and_a_sentence_gives_its_keywords"),
)
bugs(
    "data/captions.py",
    ("names-apart-by-accents", 'return unicodedata.normalize("NFC", name)', "return name",
     CAPTIONS + "an_accent_of_a_files_name_may_be_composed_or_not"),
    ("one-named-one-numbered", "not in columns] or missing", "not in columns]",
     CAPTIONS + "an_image_of_ones_own_beside_those_that_have_numbers_is_refused"),
)
bugs(
    "data/captions.py",
    ("names-of-the-first-labels", "tuple(LABEL_NAMES[c] for c in occur)", "tuple(LABEL_NAMES[: len(occur)])",
     CAPTIONS + "images_captions_pairing_and_the_files_own_parts"),
    ("numbered-from-1", "tuple(range(len(names))) if set(numbers)", "tuple(range(1, len(names) + 1)) if set(numbers)",
     CAPTIONS + "sydneys_captions_are_not_read_beside_uc_merceds_images"),
    ("a-number-is-no-class", ' or path.parent.name\n', "\n",
     CAPTIONS + "images_of_one_name_in_two_folders_have_ids_of_their_own"),
    ("keywords-of-the-first-image", "label_names, i, given[i]) if", "label_names, 0, given[i]) if",
     CAPTIONS + "keywords_may_be_the_names_of_an_image_s_own_labels"),
    ("labels-as-they-are-spelled", 'names[c].replace("-", " ") for c', "names[c] for c",
     CAPTIONS + "keywords_may_be_the_names_of_an_image_s_own_labels"),
    ("a-colour-of-what-comes-later", '        else:\n            before = ""\n    return', "    return",
     CAPTIONS + "keywords_from_a_sentence"),
    ("a-keyword-twice", "return list(dict.fromkeys(found))", "return found", CAPTIONS + "keywords_from_a_sentence"),
)
bugs(
    "amfmn/caption_prior.py",
    ("bars-are-entities", 'if word not in STOP_WORDS | {"|"}] for text', "if word not in STOP_WORDS] for text",
     PRIOR + "bars_say_nothing"),
    ("bars-are-words-of-n-grams", 'for word in words_of(text) if word != "|"]', "for word in words_of(text)]",
     PRIOR + "bars_say_nothing"),
)
bugs(
    "places.py",
    ("deep-images-too", 'modality.kind == "image" and modality.x.dtype == np.uint8:', 'modality.kind == "image":',
     PLACES + "images_of_more_bits_are_not_compared_with_a_scene_s_bytes"),
)
bugs(
    "amfmn/bounds.py",
    ("the-same-text-drawn-again", "np.maximum(copies - counts - i, 0) / np.maximum(copies - i, 1)",
     "np.maximum(copies - counts, 0) / np.maximum(copies, 1)", RUNS + "the_ceiling_is_the_most_of_all_orders"),
    ("images-without-captions-averaged", "best[counts.any(axis=1)].mean()", "best.mean()",
     RUNS + "the_ceiling_is_the_most_of_all_orders"),
    ("one-copy-of-a-text-alone", "np.sort(counts, axis=0)[::-1]", "np.sort(counts > 0, axis=0)[::-1]",
     RUNS + "the_ceiling_is_the_most_of_all_orders"),
    ("no-mean-where-one-has-none", "np.nanmean(recall_at_k", "np.mean(recall_at_k",
     RUNS + "an_image_without_captions_is_not_averaged"),
)
bugs(
    "amfmn/caption_margins.py",
    ("captions-of-the-test-part-are-the-first-image-s", "inside = np.isin(b, used)", "inside = np.ones(len(b), bool)",
     RUNS + "the_margin_of_every_image_with_every_text_is_by_its_own_captions_alone"),
)
bugs(
    "amfmn/match.py",
    ("falls-by-steps-and-epochs", "step // (steps * schedule.fall_every)", "step // (steps + schedule.fall_every)",
     "amfmn/test_amfmn_settings.py::test_in_steps_the_rate_falls_every_so_many_epochs", "match.fall_every"),
    ("pairing-in-any-order", 'pairing = pairing[np.argsort(pairing[:, 0], kind="stable")]', "pairing = pairing + 0",
     RUNS + "every_image_is_drawn_with_one_of_its_captions"),
    ("low-maps-of-five", "count // 2 + (count == 5)", "count // 2",
     "amfmn/test_amfmn_settings.py::test_how_many_maps_are_low", "maps=5"),
    ("pooled-as-64-pixels", "first, width = 2 * settings.image_size // 64,", "first, width = 2,",
     "amfmn/test_amfmn_settings.py::test_larger_images_are_pooled_more_at_once_to_maps_of_the_same_size"),
    ("nan-is-the-best", 'return {"score": 0.0}', 'return {"score": 1.0}',
     RUNS + "networks_that_are_no_longer_finite_are_the_worst"),
    ("rounding-parts-ties", "np.round(1 - scores.astype(np.float64), 9)", "1 - scores.astype(np.float64)",
     RUNS + "what_differs_by_the_rounding_of_a_product_is_tied"),
)
bugs(
    "amfmn/system.py",
    ("blocks-averaged-alike", "[0]) * len(index))\n", "[0]))\n",
     RUNS + "the_score_of_the_labels_is_a_mean_over_images_whatever_the_blocks"),
    ("labels-scored-in-training-mode", '"mode": "inference", "buffers": buffers}', '"buffers": buffers}',
     RUNS + "the_score_of_the_labels_is_a_mean_over_images_whatever_the_blocks"),
    ("turned-for-the-labels-all-the-same", 'epoch) if settings.match.augment else None\n        sizes',
     "epoch)\n        sizes", RUNS + "images_are_turned_for_the_labels_where_they_are_to_be", "match.augment"),
    ("words-that-nobody-reads", "known = read[run.config.text]", 'known = read["both"]',
     RUNS + "a_query_without_a_learned_word_in_what_is_read_is_one_line"),
    ("words-too-rare-to-learn", "((known > 0) & (known < table.max())).any()", "(known > 0).any()",
     RUNS + "a_query_without_a_learned_word_in_what_is_read_is_one_line"),
)
bugs(
    "amfmn/match.py",
    ("one-of-three-maps-is-low", "count - 1 if count == 3 else count // 2 + (count == 5)", "count // 2 + (count == 5)",
     "amfmn/test_amfmn_settings.py::test_of_the_pretrainers_blocks_two_maps_are_low[conv-3]", "trunk=conv"),
)
bugs(
    "amfmn/caption_prior.py",
    ("said-once-counts-as-often-as-a-reference-has-it", "(grams >= k).astype", "(grams >= 1).astype",
     PRIOR + "a_word_that_the_caption_says_once_counts_once"),
    ("references-added-up", "grams[list(own)].max(axis=0)", "grams[list(own)].sum(axis=0)",
     PRIOR + "a_word_counts_no_more_often_than_any_one_reference_has_it"),
    ("entities-with-their-endings", "bags = [[stem(word) for word in words_of(text) if",
     "bags = [[word for word in words_of(text) if",
     PRIOR + "entities_are_stems_without_stop_words[before]", "margin.stop_words=before"),
    ("stop-words-are-entities", "[word for word in caption if word not in STOP_WORDS]", "caption",
     PRIOR + "entities_are_stems_without_stop_words[after]", "margin.stop_words=after"),
)
bugs(
    "amfmn/objective.py",
    ("images-without-dropout", 'masks.get("image")', "None",
     WHOLE + "test_the_loss_of_the_scores_of_both_networks[False-train]", "image_dropout"),
    ("words-without-dropout", 'masks.get("words")', "None",
     WHOLE + "test_the_loss_of_the_scores_of_both_networks[False-train]", "word_dropout"),
)
bugs(
    "amfmn/match.py",
    ("the-captions-of-every-epoch", 'generator(seed, "match/captions", epoch)', 'generator(seed, "match/captions")',
     RUNS + "whatever_an_epoch_draws_is_drawn_for_this_epoch[match]"),
    ("no-running-statistics", 'return {"loss": loss}, grads, cache.statistics', 'return {"loss": loss}, grads, {}',
     RUNS + "a_step_gives_all_gradients_and_all_running_statistics[match]"),
    ("words-dropped-as-images-are", "(n, words, arch.word_width), arch.word_dropout)",
     "(n, words, arch.word_width), arch.image_dropout)", RUNS + "each_mask_of_dropout_has_its_own_rate"),
    ("no-ties-while-training", "recalls(rounded_distances(scores)", "recalls(-scores.astype(np.float64)",
     RUNS + "an_epoch_is_scored_with_the_ties_of_an_evaluation"),
)
bugs(
    "amfmn/caption_margins.py",
    ("the-first-text-is-everyones", "max(map(len, owners))), -1)", "max(map(len, owners))), 0)",
     RUNS + "margins_and_negatives_of_a_batch_are_those_of_its_pairs[True]", "own_captions=masked"),
)
bugs(
    "amfmn/networks.py",
    ("keywords-reset-after", "lengths=lengths, reset=arch.reset)\n        of_phrases",
     "lengths=lengths)\n        of_phrases", "amfmn/test_amfmn_objective.py::test_a_text_step_by_step[keywords-before]",
     "reset=before"),
)
bugs(
    "amfmn/system.py",
    ("fitted-to-all-images", 'parts.train["a"])\n    frozen =', 'np.arange(len(data.modalities["a"].x)))\n    frozen =',
     RUNS + "what_is_fitted_is_fitted_to_the_training_part"),
    ("a-classifier-without-statistics", "label_objective_backward(1.0, cache)[0], statistics",
     "label_objective_backward(1.0, cache)[0], {}",
     RUNS + "a_step_gives_all_gradients_and_all_running_statistics[labels]"),
)
