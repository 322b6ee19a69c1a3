"""The planted bugs: wrong texts that could have been written, each with the check that one would expect to find it.

One table a file of the package; a row is (id, old text, new text, expected killer, *tags). A killer is a test below
tests/, with or without its parameters, or a test of the battery by its short name: "gradcheck:linear" (see
`planting.BATTERY`). Tags name the settings and metrics that a bug is one of, where the changed function does not.
"""

from planting import Bug

CATALOGUE: list[Bug] = []


def bugs(file: str, *rows: tuple[str, ...]) -> None:
    """Adds a table: the bugs of one file."""
    stem = file.removesuffix(".py").rpartition("/")[2]
    CATALOGUE.extend(Bug(f"{stem}/{name}", file, old, new, killer, tags) for name, old, new, killer, *tags in rows)


# fmt: off

# ---- operations -----------------------------------------------------------------------------------------------------

LINEAR = "ops/test_linear.py::test_sum_over_inputs_plus_bias"
bugs(
    "ops/linear.py",
    ("bias-twice", "x @ w + b, LinearCache", "x @ w + 2 * b, LinearCache", LINEAR),
    ("square-w-not-transposed", "dy @ cache.w.T", "dy @ (cache.w if len(set(cache.w.shape)) == 1 else cache.w.T)",
     "gradcheck/test_shapes.py::test_gradients_of_any_shape[linear]"),
    ("dw-a-mean", "cache.x.T @ dy", "cache.x.T @ dy / len(dy)", "gradcheck:linear"),
    ("db-of-one-row", "column_sum(dy)", "dy[-1]", "gradcheck:linear"),
)

bugs(
    "ops/relu.py",
    ("negative-turned-round", "return xp.where(x.real <= 0, 0, x), Re", "return xp.where(x.real <= 0, -x, x), Re",
     "ops/test_relu.py::test_relu"),
    ("on-at-zero", "ReluCache(x.real > 0, 0.0)", "ReluCache(x.real >= 0, 0.0)",
     "ops/test_relu.py::test_the_kink_belongs_to_the_negative_side"),
    ("mask-forgotten", "return xp.where(cache.positive, dy, 0)", "return dy + 0", "gradcheck:relu"),
    ("mask-turned-round", "xp.where(cache.positive, dy, 0)", "xp.where(cache.positive, 0, dy)", "gradcheck:relu"),
    ("upstream-ignored", "xp.where(cache.positive, dy, 0)", "0 * dy + cache.positive", "gradcheck:relu"),
    ("writes-into-dy", "return xp.where(cache.positive, dy, 0)", "dy *= cache.positive\n    return dy", "purity:relu"),
    ("float64", "xp.where(cache.positive, dy, 0)", "xp.where(cache.positive, dy, 0).astype(float)", "float32:relu"),
    ("leaky-slope-negative", "xp.where(positive, x, slope * x)", "xp.where(positive, x, -slope * x)",
     "ops/test_relu.py::test_leaky_relu"),
    ("leaky-slope-ten-percent", "slope: float = 0.01", "slope: float = 0.1",
     "ops/test_relu.py::test_the_slope_is_one_percent_unless_given"),
    ("leaky-slope-lost", "xp.where(cache.positive, dy, cache.slope * dy)", "xp.where(cache.positive, dy, 0)",
     "gradcheck:leaky_relu"),
    ("six-is-seven", "xp.where(above, 6, ", "xp.where(above, 7, ", "ops/test_relu.py::test_relu6"),
    ("six-has-a-slope", "Relu6Cache(positive & ~above)", "Relu6Cache(positive)", "gradcheck:relu6"),
    ("six-dy-handed-on", "return xp.where(cache.inside, dy, 0)", "return dy", "memory:relu6"),
    ("six-at-its-kink", "x.real >= 6", "x.real > 6",
     "ops/test_relu.py::test_relu6_has_no_slope_at_either_kink"),
)

STRIDED = "ops/test_strided_conv.py::"
bugs(
    "ops/padding.py",
    ("odd-one-above", "across[0] // 2, across[0] - across[0] // 2,", "across[0] - across[0] // 2, across[0] // 2,",
     STRIDED + "test_same_padding_is_tensorflows"),
    ("as-if-without-stride", "(-(-size // stride) - 1) * stride", "(size - 1)",
     STRIDED + "test_same_padding_is_tensorflows"),
    ("sides-exchanged", "padded[:, top : top + h, left : left + w] = x",
     "padded[:, left : left + h, top : top + w] = x",
     STRIDED + "test_what_is_padded_is_cropped_again"),
    ("float64", "c), dtype=x.dtype)", "c))", STRIDED + "test_what_is_padded_is_cropped_again"),
    ("row-too-few", "(down - k) // stride + 1,", "max(down - k, 1) // stride,", STRIDED + "test_window_by_window"),
    ("tap-transposed", "padded[:, i : i + (size[0] - 1)", "padded[:, j : j + (size[0] - 1)",
     STRIDED + "test_window_by_window"),
    ("does-not-fit-either", "if min(down, across) < k:", "if max(down, across) < k:",
     STRIDED + "test_a_kernel_that_does_not_fit_is_refused"),
)

bugs(
    "ops/strided_conv.py",
    ("flipped-kernel", "y = columns @ w.reshape(-1, d)", "y = columns @ w[::-1, ::-1].reshape(-1, d)",
     STRIDED + "test_window_by_window"),
    ("pointwise-with-a-stride", "if k == stride == 1 and not any(padding):", "if k == 1 and not any(padding):",
     STRIDED + "test_a_kernel_of_one_pixel"),
    ("pointwise-without-its-border", "if k == stride == 1 and not any(padding):", "if k == stride == 1:",
     STRIDED + "test_a_kernel_of_one_pixel"),
    ("dx-overwritten", "pixels += dcolumns", "pixels[...] = dcolumns", "gradcheck:strided_conv/same"),
    ("dx-without-stride", "tap(dpadded, i, j, cache.stride,", "tap(dpadded, i, j, 1,",
     "gradcheck:strided_conv/tensorflow"),
    ("dx-kernel-flipped", "rows @ w.reshape(-1, d).T", "rows @ w[::-1, ::-1].reshape(-1, d).T",
     "gradcheck:strided_conv/uneven"),
    ("dw-a-mean", "(cache.columns.T @ rows)", "(cache.columns.T @ rows / shape[0])",
     "gradcheck:strided_conv/pointwise"),
    ("padding-kept-in-dx", "crop(dpadded, cache.padding), dw", "dpadded[:, : shape[1], : shape[2]], dw",
     "gradcheck:strided_conv/same"),
    ("dx-always", "    if not input_gradient:\n        return None, dw\n", "",
     STRIDED + "test_the_gradient_of_an_image_can_be_left_out"),
)

DEPTHWISE = "ops/test_depthwise_conv.py::test_each_channel_by_its_own_kernel"
bugs(
    "ops/depthwise_conv.py",
    ("kernel-transposed", "y += tap(padded, i, j, stride, size) * w[i, j]",
     "y += tap(padded, i, j, stride, size) * w[j, i]", DEPTHWISE),
    ("last-tap-alone", "y += tap", "y = tap", DEPTHWISE),
    ("dx-overwritten", "pixels += dy * w[i, j]", "pixels[...] = dy * w[i, j]", "gradcheck:depthwise_conv/same"),
    ("dx-kernel-flipped", "pixels += dy * w[i, j]", "pixels += dy * w[k - 1 - i, k - 1 - j]",
     "gradcheck:depthwise_conv/tensorflow"),
    ("dw-transposed", "dw[i, j] = column_sum", "dw[j, i] = column_sum", "gradcheck:depthwise_conv/uneven"),
    ("dw-of-one-sample", "column_sum(dy * tap(padded", "column_sum(dy[:1] * tap(padded[:1]",
     "gradcheck:depthwise_conv/same"),
    ("float64", "dw = xp.empty(w.shape, dtype=dy.dtype)", "dw = xp.empty(w.shape)", "float32:depthwise_conv/same"),
    ("padding-kept-in-dx", "crop(dpadded, padding) if", "dpadded if", "gradcheck:depthwise_conv/same"),
)

bugs(
    "ops/global_mean.py",
    ("a-sum", "x.mean(axis=(1, 2))", "x.sum(axis=(1, 2))", "ops/test_global_mean.py::test_the_mean_of_every_channel"),
    ("over-one-side", "(dy / (h * w))", "(dy / h)", "gradcheck:global_mean"),
    ("float64", "xp.empty(cache.shape, dtype=dy.dtype)", "xp.empty(cache.shape)", "float32:global_mean"),
)

LINES = "ops/test_depthwise_by_lines.py::"
bugs(
    "ops/fused/lines.py",
    ("gap-of-one-side", "max(padding[:2]), max(padding[2:])", "max(padding[:2]), padding[3]",
     LINES + "test_values_and_gradients"),
    ("no-gap-between-samples", "self.gap_lines, self.gap = max(padding[:2]),", "self.gap_lines, self.gap = padding[0],",
     LINES + "test_stacks_do_not_see_each_other"),
    ("remainder-forgotten", "last = -(-(samples", "last = +(+(samples",
     LINES + "test_the_size_of_a_chunk_changes_nothing"),
    ("last-chunk-alone", "y += product", "y[...] = product", LINES + "test_values_and_gradients"),
    ("columns-swapped", "(i - top) * self.line + j - left", "(j - left) * self.line + i - top",
     LINES + "test_values_and_gradients"),
    ("dw-of-the-last-chunk", "total[t] += product.sum(axis=0)", "total[t] = product.sum(axis=0)",
     LINES + "test_the_size_of_a_chunk_changes_nothing"),
)

bugs(
    "ops/fused/depthwise_by_lines.py",
    ("sides-not-exchanged", "turned = (bottom, top, right, left)", "turned = padding",
     "gradcheck:fused/depthwise_by_lines/asymmetric"),
    ("kernel-not-turned", "w[::-1, ::-1]", "w[::-1]", "gradcheck:fused/depthwise_by_lines/same"),
    ("dw-of-one-block", "        dw += part", "        dw = part", LINES + "test_values_and_gradients"),
    ("any-stride", "stride == 1 and padding[0]", "padding[0]",
     LINES + "test_what_it_cannot_do_takes_the_plain_operation"),
    ("lines-lose-a-side", "return _convolve(x, w, padding), Depth", "return _convolve(x, w, padding[::-1]), Depth",
     LINES + "test_values_and_gradients"),
)

TRUNKS = "cmirnet/test_trunk_stages.py::"
bugs(
    "data/trunk.py",
    ("trunk-of-the-others", 'settings.trunk == "lite0" and modality', 'settings.trunk != "lite0" and modality',
     "data/test_trunk.py::test_images_stay_images_where_no_frozen_trunk_is_asked_for", "trunk=conv"),
    ("trunk-frozen-though-trained", 'or settings.trunk_training == "all"', "",
     "data/test_trunk.py::test_images_stay_images_where_no_frozen_trunk_is_asked_for", "trunk_training=frozen"),
    ("trunk-of-the-wheel-all-the-same", "images, settings.trunk_weights,", "images, None,",
     TRUNKS + "test_weights_of_a_file_are_used_and_others_are_refused_later", "trunk_weights"),
)
bugs(
    "cmirnet/stage1.py",
    ("trunk-never-trained", 'kind in ("image", "sketch", "maps") and settings.trunk == "lite0"', "False",
     TRUNKS + "test_what_is_trained_moves_and_nothing_else", "trunk=lite0"),
    ("trunk-s-first-blocks-trained", 'if settings.trunk_training == "last" else 0', "* 0",
     TRUNKS + "test_what_is_trained_moves_and_nothing_else", "trunk_training=last"),
    ("trunk-s-last-blocks-alone-trained", 'if settings.trunk_training == "last" else 0', "",
     TRUNKS + "test_what_is_trained_moves_and_nothing_else", "trunk_training=all"),
)

FOLDED = "ops/test_folded_block.py::"
bugs(
    "ops/fused/by_samples.py",
    ("gradient-of-the-first-block", "sum((part[name] for part in parts[1:]), start=first)", "first",
     "gradcheck:trunk_pretrainer"),
    ("first-item-for-every-block", "given[i if isinstance(given, list)", "given[0 if isinstance(given, list)",
     "gradcheck:amfmn/image_network/paper"),
    ("one-sketch-for-the-first-block-alone", "(len(given) == 1 and not isinstance(given, list))", "False",
     "attention/test_attended_objective.py::test_one_sketch_attends_many_photos_and_many_sketches_one[spatial]"),
    ("first-block-for-every-block", "else blocks[i]]", "else blocks[0]]",
     "attention/test_attended_objective.py::test_maps_of_many_samples_are_read_as_each_alone[spatial]"),
)

bugs(
    "ops/fused/folded_block.py",
    ("shortcut-forgotten", "out += stack.reshape(out.shape)", "pass", FOLDED + "test_three_convolutions_step_by_step"),
    ("first-stack-for-all", "stack = x[start : start + count]", "stack = x[: len(x[start : start + count])]",
     FOLDED + "test_three_convolutions_step_by_step"),
    ("bias-forgotten", "        out += bp\n", "", FOLDED + "test_three_convolutions_step_by_step"),
    ("no-upper-limit", "return u.clip(0, 6, out=u)", "return u.clip(0, None, out=u)",
     FOLDED + "test_pointwise_and_its_second_half"),
    ("last-tap-alone", "                y += product[:n]", "                y[...] = product[:n]",
     FOLDED + "test_three_convolutions_step_by_step"),
    ("expansion-not-rectified", "        out.clip(0, 6, out=out)\n", "",
     FOLDED + "test_three_convolutions_step_by_step"),
)

LITE = "nets/test_efficientnet_lite.py::"
bugs(
    "nets/efficientnet_lite.py",
    ("stride-on-every-block", "stride = stage.stride if i == 0 else 1", "stride = stage.stride",
     LITE + "test_lite0_as_it_was_published"),
    ("no-shortcut", "h = out + h if has_shortcut(block) else out", "h = out", LITE + "test_layer_by_layer"),
    ("project-rectified", '.project", active=False)', '.project")', LITE + "test_layer_by_layer"),
    ("dx-without-shortcut", "dh = dx + dh if has_shortcut(block) and dx is not None else dx", "dh = dx",
     "gradcheck:efficientnet_lite/inference"),
    ("map-gradient-lost", "dh = dh + getattr(d, block.map)", "dh = getattr(d, block.map)",
     "gradcheck:efficientnet_lite/inference"),
    ("gamma-and-beta-exchanged", 'grads[f"{name}.gamma"], grads[f"{name}.beta"] =',
     'grads[f"{name}.beta"], grads[f"{name}.gamma"] =', "gradcheck:efficientnet_lite/inference"),
    ("folded-without-mean", 'own["beta"] - own["mean"] * scale', 'own["beta"]',
     LITE + "test_folding_the_normalisation_changes_nothing_but_rounding"),
    ("folded-twice", 'own["w"] * scale,', 'own["w"] * scale * scale,',
     LITE + "test_folding_the_normalisation_changes_nothing_but_rounding"),
    ("widths-rounded-down", "return scaled + divisor if scaled < 0.9 * c * width else scaled", "return scaled",
     LITE + "test_widths_and_depths_of_the_family"),
    ("block-1-is-block-10", 'name.rpartition(".")[0] not in before', "not any(name.startswith(b) for b in before)",
     LITE + "test_names_of_what_is_trained"),
)

TRUNK = "nets/test_trunk_pretrainer.py::"
bugs(
    "nets/trunk_pretrainer.py",
    ("statistics-are-trained", "items() if not is_statistic(name)}", "items()}",
     TRUNK + "test_every_array_is_a_parameter_or_a_buffer_and_grads_have_the_parameters_names"),
    ("dropout-in-inference", "head(params, pooled, None, arch.dropout)",
     "head(params, pooled, pooled > 1, arch.dropout)",
     TRUNK + "test_inference_is_training_without_dropout"),
    ("batch-statistics-always", '"mode": arch.batch_norm', '"mode": "train"',
     TRUNK + "test_the_head_of_the_trunks_features"),
    ("trunk-learns-from-the-first-block", "add_parts(parts)), None", "add_parts(parts[:1])), None",
     "gradcheck:trunk_pretrainer"),
    ("last-blocks-of-the-image", "x, first=arch.first, maps=False", "x, first=arch.first + 1, maps=False",
     TRUNK + "test_inference_is_training_without_dropout"),
)

bugs(
    "ops/sigmoid.py",
    ("sign-of-the-exponent", "xp.where(positive, 1, small) /", "xp.where(positive, small, 1) /",
     "ops/test_sigmoid.py::test_against_math"),
    ("overflows", "xp.exp(xp.where(positive, -x, x))", "xp.exp(-x)",
     "ops/test_sigmoid.py::test_large_numbers_neither_overflow_nor_warn"),
    ("a-factor-lost", "dy * cache.y * (1 - cache.y)", "dy * cache.y", "gradcheck:sigmoid"),
    ("upstream-ignored", "dy * cache.y * (1 - cache.y)", "0 * dy + cache.y * (1 - cache.y)", "gradcheck:sigmoid"),
)

ATTENTION = "ops/test_softmax_attention.py::test_"
bugs(
    "ops/softmax_attention.py",
    ("not-scaled", "q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[2])", "q @ k.transpose(0, 2, 1)",
     ATTENTION + "a_mean_of_the_values_that_are_seen"),
    ("scaled-by-the-values", "k.transpose(0, 2, 1) / math.sqrt(q.shape[2])",
     "k.transpose(0, 2, 1) / math.sqrt(v.shape[2])", ATTENTION + "a_mean_of_the_values_that_are_seen"),
    ("softmax-over-queries", "total = exp.sum(axis=2", "total = exp.sum(axis=1",
     ATTENTION + "a_mean_of_the_values_that_are_seen"),
    ("mask-forgotten", "if mask is not None:", "if False:", ATTENTION + "padding_changes_nothing"),
    ("mask-turned-round", "xp.where(mask, u, -xp.inf)", "xp.where(mask, -xp.inf, u)",
     ATTENTION + "a_mean_of_the_values_that_are_seen"),
    ("nothing-by-nothing", "xp.where(total.real > 0, total, 1)", "total",
     ATTENTION + "a_query_that_sees_nothing_gets_nothing_and_gives_no_gradient"),
    ("overflows", "xp.where(xp.isfinite(largest), largest, 0)", "0", ATTENTION + "large_logits_stay_finite"),
    ("mean-of-the-row-forgotten", "a * (da - (da * a).sum(axis=2, keepdims=True))", "a * da",
     "gradcheck:softmax_attention/all"),
    ("du-not-scaled", "keepdims=True)) / math.sqrt(q.shape[2])", "keepdims=True))", "gradcheck:softmax_attention/all"),
    ("dk-of-the-wrong-side", "du.transpose(0, 2, 1) @ q", "a.transpose(0, 2, 1) @ q",
     "gradcheck:softmax_attention/all"),
    ("dv-of-the-logits", "a.transpose(0, 2, 1) @ dy", "du.transpose(0, 2, 1) @ dy", "gradcheck:softmax_attention/keys"),
)

CONV = "ops/test_conv.py::test_same_cross_correlation"
bugs(
    "ops/conv.py",
    ("flipped-kernel", "columns @ w.reshape(-1, d)", "columns @ w[::-1, ::-1].reshape(-1, d)", CONV),
    ("pad-shifted", "padded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + w] = x",
     "padded[:, k - 1 : k - 1 + h, k // 2 : k // 2 + w] = x", CONV),
    ("rows-and-columns-swapped", "columns[:, :, :, i, j] = padded", "columns[:, :, :, j, i] = padded", CONV),
    ("bias-subtracted", "y += b", "y -= b", CONV),
    ("float64", "xp.empty((n, h, w, k, k, c), dtype=x.dtype)", "xp.empty((n, h, w, k, k, c))", "float32:conv"),
    ("dx-overwritten", "+= columns[:, :, :, i, j]", "= columns[:, :, :, i, j]", "gradcheck:conv"),
    ("dx-shifted", "return padded[:, k // 2 : k // 2 + h", "return padded[:, k - 1 : k - 1 + h", "gradcheck:conv"),
    ("dx-kernel-flipped", "rows @ w.reshape(-1, d).T", "rows @ w[::-1, ::-1].reshape(-1, d).T", "gradcheck:conv"),
    ("dw-a-mean", "(cache.columns.T @ rows)", "(cache.columns.T @ rows / shape[0])", "gradcheck:conv"),
    ("db-a-mean", "dw, column_sum(rows)", "dw, column_sum(rows) / shape[0]", "gradcheck:conv"),
    ("dx-always", "if input_gradient else None", "if dy.size else None",
     "ops/test_conv.py::test_the_gradient_of_an_image_can_be_left_out"),
)

SUMS = "ops/test_sums.py::test_every_row_is_counted_once"
bugs(
    "ops/sums.py",
    ("last-rows-dropped", " + rows[whole:].sum(axis=0)", "", SUMS),
    ("mean-over-first-axis", "max(x.size // x.shape[-1], 1)", "max(x.shape[0], 1)", SUMS),
    ("sum-and-mean-swapped", 'if reduction == "mean" else 1.0', 'if reduction == "sum" else 1.0',
     "ops/test_softmax_cross_entropy.py::test_value_for_every_kind_of_target", "reduction=sum", "reduction=mean"),
    ("one-stage", "parts.sum(axis=0) +", "rows[:whole].sum(axis=0) +",
     "ops/test_sums.py::test_float32_stays_accurate_over_a_million_rows"),
)

EVERY_NAN = "ops/test_not_finite.py::test_a_pool_keeps_every_nan"
POOL = "ops/test_max_pool.py::test_first_largest_pixel_of_each_whole_window"
bugs(
    "ops/max_pool.py",
    ("last-winner-takes-a-tie", "pixels.real.argmax(axis=-1)",
     "factor**2 - 1 - pixels.real[..., ::-1].argmax(axis=-1)", POOL),
    ("smallest", "pixels.real.argmax(axis=-1)", "(-pixels.real).argmax(axis=-1)", POOL),
    ("column-major-ties", "x.transpose(0, 1, 3, 5, 2, 4)", "x.transpose(0, 1, 3, 5, 4, 2)", POOL),
    ("nan-is-the-smallest", "pixels.real.argmax(axis=-1)",
     "xp.where(pixels.real == pixels.real, pixels.real, -xp.inf).argmax(axis=-1)", EVERY_NAN),
    ("winner-in-a-byte", "if factor <= 16", "if factor <= 99",
     "ops/test_max_pool.py::test_windows_of_more_places_than_a_byte_can_name"),
    ("a-view", "    pixels = _windows(x, factor)\n",
     "    if factor == 1:\n        return x, max_pool(x.copy(), 1)[1]\n    pixels = _windows(x, factor)\n",
     "ops/test_max_pool.py::test_the_result_is_not_a_view_of_the_input"),
    ("first-place-wins", "MaxPoolCache(winner.astype", "MaxPoolCache((0 * winner).astype", "gradcheck:max_pool/2"),
    ("everyone-wins", "xp.where(won, dy[..., None], 0)", "xp.where(won | True, dy[..., None], 0)",
     "gradcheck:max_pool/3"),
    ("hands-dy-on", "    dx = xp.zeros(cache.shape",
     "    if cache.factor == 1:\n        return dy\n    dx = xp.zeros(cache.shape",
     "memory:max_pool/1"),
)

FUSED = "ops/test_conv_max_pool.py::"
bugs(
    "nets/conv_block.py",
    ("winners-kept-that-nobody-reads", 'winners=mode != "inference")', "winners=True)",
     FUSED + "test_inference_keeps_no_winners_and_training_does"),
)
bugs(
    "ops/fused/conv_max_pool.py",
    ("late-winners-are-the-smallest", "map_blocks(lambda block: write_conv_max_pool(x, w, factor,",
     "map_blocks(lambda block: write_conv_max_pool(x, -w, factor,",
     FUSED + "test_winners_that_nobody_read_are_found_when_they_are_asked_for"),
    ("bias-twice", "pixels += shift", "pixels += 2 * shift", FUSED + "test_values_and_gradients"),
    ("bias-of-the-first-sample", "widen(y[block], b)", "widen(y[:1], b)", FUSED + "test_values_and_gradients"),
    ("dx-of-the-stack-before-kept", "            dpadded.fill(0)\n", "", FUSED + "test_values_and_gradients"),
    ("dw-of-one-block", "        dw += part_w", "        dw = part_w", FUSED + "test_values_and_gradients"),
    ("db-a-mean", "widen(dy[block])[0], w", "widen(dy[block] / len(x))[0], w", "gradcheck:fused/conv_max_pool/2"),
    ("float64", "np.empty(x.shape, dtype=dy.dtype)", "np.empty(x.shape)", "float32:fused/conv_max_pool/2"),
)

bugs(
    "ops/fused/add_products.py",
    ("what-was-there-lost", "enumerate(starts):\n", "enumerate(starts):\n        out[start : start + len(a)] = 0\n",
     "gradcheck:fused/conv_max_pool/2"),
    ("first-matrix-each-time", "from_b + t * b.strides[0]", "from_b", "gradcheck:fused/conv_max_pool/2"),
    ("starts-counted-in-numbers", "start * out.strides[0], c", "start * out.itemsize, c",
     "ops/test_conv_max_pool.py::test_products_are_added_where_they_start"),
)
bugs(
    "ops/fused/tiles.py",
    ("pad-shifted", "padded[self.lead : self.lead + self.count", "padded[: self.count",
     FUSED + "test_values_and_gradients"),
    ("samples-on-top-of-each-other", "self.lines * self.line * pixel, ", "0, ",
     FUSED + "test_values_and_gradients"),
    ("last-stack-forgotten", "range(block.start, block.stop, self.samples)",
     "range(block.start, max(block.stop - self.samples, 1), self.samples)", FUSED + "test_values_and_gradients"),
    ("last-winner-takes-a-tie", "np.arange(self.f * self.f, 0, -1, dtype=np.uint8)",
     "np.arange(1, self.f * self.f + 1, dtype=np.uint8)",
     FUSED + "test_ties_go_to_the_first_winner"),
    ("windows-transposed", "[(p * line + q) * d for p", "[(q * line + p) * d for p",
     "gradcheck:fused/conv_max_pool/2"),
    ("windows-of-one-sample", "(s * steps[0] + r", "(s * 0 + r", FUSED + "test_values_and_gradients"),
    ("dw-overwritten", "dw += np.dot", "dw[...] = np.dot",
     "ops/test_conv_max_pool.py::test_values_and_gradients"),
    ("tap-one-line-off", "[i * line + j for i", "[j * line + i for i",
     "gradcheck:fused/conv_max_pool/3"),
    ("left-over-of-the-tile-before", "            full.fill(0)\n", "", FUSED + "test_values_and_gradients"),
    ("rest-forgotten", "full.reshape(-1)[entry] += dy", "full.reshape(-1)[entry] = dy",
     "gradcheck:fused/conv_act_norm_pool/train"),
)

bugs(
    "parallel.py",
    ("errors-swallowed", "helper.result()  # raises", "pass  # raises",
     FUSED + "test_an_error_in_another_thread_is_not_swallowed"),
    ("goes-on-after-an-error", "for _ in numbers:", "for _ in ():",
     FUSED + "test_nothing_is_begun_after_an_error"),
    ("first-part-alone", "iter(range(len(parts)))", "iter(range(min(len(parts), 1)))",
     FUSED + "test_the_number_of_threads_changes_no_bit"),
)

ACT_NORM = "ops/test_act_norm.py::"
KERNELS = "test_kernels.py::test_the_way_of_the_kernels_is_the_plain_composition"
bugs(
    "ops/fused/act_norm.py",
    ("mean-forgotten", "np.subtract(rows, m, out=out)\n    out *= g\n", "np.multiply(rows, g, out=out)\n",
     ACT_NORM + "test_values_statistics_and_gradients"),
    ("dgamma-not-scaled", "    dgamma *= scale\n", "", "gradcheck:fused/act_norm/train"),
    ("mean-of-dy-kept", "            out -= shift\n", "", "gradcheck:fused/act_norm/train"),
    ("variance-is-a-constant", "            out *= along\n", "            out *= 0\n",
     "gradcheck:fused/act_norm/train"),
    ("act-not-differentiated", "        out *= leaky_relu_derivative(rows, slope)\n", "",
     "gradcheck:fused/act_norm/train"),
    ("frozen-moves-the-mean", "np.multiply(upstream, g, out=out)",
     "np.multiply(upstream - upstream.mean(axis=0), g, out=out)", "gradcheck:fused/act_norm/frozen"),
    ("frozen-with-one-pass", "sums if mode ==", "sums if mode != 'inference' or mode ==",
     "gradcheck:fused/act_norm/frozen"),
    ("kernels-take-statistics-of-x", "kernels.SUM_OF_ACT, slope=slope", "kernels.SUM, slope=slope", KERNELS),
    ("kernels-forget-the-mean", "y=dy, mean=mean, slope=slope", "y=dy, mean=0 * mean, slope=slope", KERNELS),
    ("kernels-forget-dbeta", "kernels.norm_sums_kernel(product, dbeta,", "kernels.norm_sums_kernel(product, 0 * dbeta,",
     KERNELS),
    ("kernels-differentiate-statistics-that-are-given", 'if mode == "train" else 0.0', "if mode else 0.0", KERNELS),
    ("variance-without-epsilon", "scale = (var + NORM_EPSILON) ** -0.5\n    map_blocks",
     "scale = var**-0.5\n    map_blocks",
     ACT_NORM + "test_values_statistics_and_gradients"),
)

bugs(
    "ops/fused/moments.py",
    ("means-not-weighted", "part.n * part.mean", "total / len(parts) * part.mean",
     ACT_NORM + "test_moments_of_parts_of_any_sizes"),
    ("between-parts-forgotten", "part.m2 + part.n * (part.mean - mean) ** 2", "part.m2",
     ACT_NORM + "test_moments_of_parts_of_any_sizes"),
    ("unbiased", "(m2 / total)", "(m2 / (total - 1))", ACT_NORM + "test_values_statistics_and_gradients"),
)

RELEASED = "ops/test_conv_act_norm_pool.py::"
bugs(
    "ops/fused/conv_act_norm_pool.py",
    ("sign-of-gamma-ignored", "sign, train = np.sign(gamma)", "sign, train = np.ones_like(gamma)",
     RELEASED + "test_values_statistics_and_gradients"),
    ("bias-turned", "widen(u, sign, b)", "widen(u, sign, b * sign)",
     RELEASED + "test_values_statistics_and_gradients"),
    ("statistics-of-the-winners", "combine(parts, gamma)[1:] if train",
     "(a.mean(axis=(0, 1, 2)), a.var(axis=(0, 1, 2))) if train",
     RELEASED + "test_values_statistics_and_gradients"),
    ("every-pixel-forgotten", "u += shift\n                u *= factors", "u *= 0",
     "gradcheck:fused/conv_act_norm_pool/train"),
    ("constant-forgotten", "- cache.mean * minus_b", "", "gradcheck:fused/conv_act_norm_pool/train"),
    ("counts-windows", "x.size // x.shape[-1], 1)\n    minus_b", "du.size // du.shape[-1], 1)\n    minus_b",
     "gradcheck:fused/conv_act_norm_pool/train"),
    ("dw-not-turned", "return dx, dw * cache.sign, db * cache.sign", "return dx, dw, db * cache.sign",
     RELEASED + "test_values_statistics_and_gradients"),
)

NORM = "ops/test_batch_norm.py::"
bugs(
    "ops/batch_norm.py",
    ("epsilon", "NORM_EPSILON = 1e-3", "NORM_EPSILON = 1e-5", NORM + "test_frozen_is_affine"),
    ("unbiased-variance", "var = column_mean(centred * centred)",
     "var = column_mean(centred * centred) * (x.size / max(x.size - x.shape[-1], 1))",
     NORM + "test_train_uses_and_returns_the_statistics_of_the_batch", "batch_norm=train"),
    ("inference-centres-the-batch", 'elif mode == "inference":\n        centred = x - mean',
     'elif mode == "inference":\n        centred = x - column_mean(x)',
     NORM + "test_inference_uses_the_running_statistics"),
    ("frozen-without-epsilon", "xp.ones_like(gamma), x", "xp.ones_like(gamma) - NORM_EPSILON, x",
     NORM + "test_frozen_is_affine", "batch_norm=frozen"),
    ("beta-forgotten", "gamma * x_hat + beta", "gamma * x_hat + 0 * beta", NORM + "test_frozen_is_affine"),
    ("dx-forgets-the-mean", "(dy - dbeta / m - x_hat", "(dy - x_hat", "gradcheck:batch_norm/train"),
    ("dx-forgets-the-variance", " - x_hat * (dgamma / m)", "", "gradcheck:batch_norm/train"),
    ("dx-sign-of-the-variance", "dbeta / m - x_hat * (dgamma / m)", "dbeta / m + x_hat * (dgamma / m)",
     "gradcheck:batch_norm/train"),
    ("dx-counts-samples-not-values", "max(x_hat.size // x_hat.shape[-1], 1)", "x_hat.shape[0]",
     "gradcheck:batch_norm/train"),
    ("dx-without-gamma", "cache.x_hat, cache.scale * cache.gamma", "cache.x_hat, cache.scale",
     "gradcheck:batch_norm/frozen"),
    ("frozen-differentiated-as-train", 'if cache.mode != "train":', 'if cache.mode == "inference":',
     "gradcheck:batch_norm/frozen", "batch_norm=frozen"),
    ("dgamma-and-dbeta-swapped", "column_sum(dy * x_hat), column_sum(dy)", "column_sum(dy), column_sum(dy * x_hat)",
     "gradcheck:batch_norm/inference"),
)

bugs(
    "ops/dropout.py",
    ("not-rescaled", "return x * mask * (1 / (1 - rate)), ", "return x * mask, ",
     "ops/test_dropout.py::test_kept_units_are_divided_by_the_chance_to_be_kept"),
    ("divided-by-the-rate", "x * mask * (1 / (1 - rate))", "x * mask * (1 / (rate or 1))",
     "ops/test_dropout.py::test_kept_units_are_divided_by_the_chance_to_be_kept"),
    ("gradient-not-rescaled", "dy * cache.mask * (1 / (1 - cache.rate))", "dy * cache.mask", "gradcheck:dropout"),
    ("another-mask", "dy * cache.mask *", "dy * cache.mask[::-1] *", "gradcheck:dropout"),
)

LABELS = "ops/test_labels.py::test_rows_of_zeros_and_ones"
NAMED = "ops/test_labels.py::test_labels_that_are_none_are_named"
bugs(
    "ops/labels.py",
    ("counts-from-one", "xp.arange(classes)", "1 + xp.arange(classes)", LABELS),
    ("rows-are-made-one-hot", "rows = labels.astype(dtype)", "rows = (labels == labels.max()).astype(dtype)", LABELS),
    ("values-rounded-in-silence", "and (rows != labels).any()", "and False",
     "ops/test_labels.py::test_rows_that_whole_numbers_do_not_keep_are_refused"),
    ("negative-class", "(labels >= 0) & (labels < classes)", "labels < classes", NAMED),
    ("fraction", "right &= labels == labels // 1 if labels.dtype.kind == \"f\" else True", "pass", NAMED),
    ("infinite-weight", "& (labels < float(\"inf\"))", "", NAMED),
    ("always-bytes", "hot.astype(dtype)", 'hot.astype("uint8")', LABELS),
)

SOFTMAX = "ops/test_softmax_cross_entropy.py::"
bugs(
    "ops/softmax_cross_entropy.py",
    ("mean-over-classes-too", "reduction_factor(reduction, u.shape[0])", "reduction_factor(reduction, u.size)",
     SOFTMAX + "test_value_for_every_kind_of_target"),
    ("multi-hot-not-divided", "return y / xp.where(mass > 0, mass, 1)", "return y",
     SOFTMAX + "test_value_for_every_kind_of_target"),
    ("mass-over-samples", "y.sum(axis=1, keepdims=True)\n    return", "y.sum(axis=0, keepdims=True)\n    return",
     SOFTMAX + "test_value_for_every_kind_of_target"),
    ("overflow", "u - u.real.max(axis=1, keepdims=True)", "u + 0 * u", SOFTMAX + "test_logits_of_ten_thousand"),
    ("float64", "like.shape[1], like.real.dtype", 'like.shape[1], "float64"', "float32:softmax_cross_entropy/integer"),
    ("unlabelled-row-gets-p", "(p * y.sum(axis=1, keepdims=True) - y)", "(p - y)",
     "gradcheck:softmax_cross_entropy/multi-hot"),
    ("y-forgotten", "axis=1, keepdims=True) - y) * (dloss", "axis=1, keepdims=True)) * (dloss",
     "gradcheck:softmax_cross_entropy/one-hot"),
    ("gradient-not-a-mean", "- y) * (dloss * scale)", "- y) * dloss", "gradcheck:softmax_cross_entropy/integer"),
    ("upstream-ignored", "- y) * (dloss * scale)", "- y) * scale", "upstream:softmax_cross_entropy/sum"),
    ("cache-used-up", "return (p * y.sum(axis=1, keepdims=True) - y)",
     "p *= y.sum(axis=1, keepdims=True)\n    p -= y\n    return p", "replay:softmax_cross_entropy/integer"),
)

SIGMOID = "ops/test_sigmoid_cross_entropy.py::"
bugs(
    "ops/sigmoid_cross_entropy.py",
    ("labels-turned-round", "xp.where(positive, 1 - y, -y)", "xp.where(positive, y, y - 1)",
     SIGMOID + "test_value_for_every_kind_of_target"),
    ("mean-over-samples-alone", "reduction_factor(reduction, u.size)", "reduction_factor(reduction, u.shape[0])",
     SIGMOID + "test_value_for_every_kind_of_target"),
    ("overflow", "xp.where(slope == 0, 0, u) * slope + xp.log1p(small)", "xp.log1p(xp.exp(u)) - u * y",
     SIGMOID + "test_logits_of_ten_thousand"),
    ("one-sided-p", "xp.where(positive, 1, small) / (1 + small)", "1 / (1 + small)",
     "gradcheck:sigmoid_cross_entropy/multi-hot"),
    ("float64", "u.shape[1], u.real.dtype", 'u.shape[1], "float64"', "float32:sigmoid_cross_entropy/integer"),
    ("gradient-of-a-squared-error", "(p - y) * (dloss", "(p - y) * p * (1 - p) * (dloss",
     "gradcheck:sigmoid_cross_entropy/multi-hot"),
    ("gradient-not-a-mean", "(dloss * scale)", "dloss", "gradcheck:sigmoid_cross_entropy/integer"),
)

KINDS = "ops/test_cross_entropy.py::test_each_kind_is_its_operation"
bugs(
    "ops/cross_entropy.py",
    ("sigmoid-is-softmax", 'if kind == "softmax":', 'if kind in ("softmax", "sigmoid"):', KINDS + "[sigmoid]",
     "stage1.label_loss=sigmoid", "label_loss=sigmoid"),
    ("softmax-is-sigmoid", "return softmax_rows(u, targets)", "return sigmoid_cross_entropy(u, targets)",
     KINDS + "[softmax]", "stage1.label_loss=softmax", "label_loss=softmax"),
    ("a-sum", "return sigmoid_cross_entropy(u, targets)", 'return sigmoid_cross_entropy(u, targets, reduction="sum")',
     KINDS + "[sigmoid]"),
    ("backward-of-the-other-kind", "if isinstance(cache, SoftmaxCache | SoftmaxRowsCache):",
     "if isinstance(cache, SigmoidCache):",
     "gradcheck:cross_entropy/sigmoid"),
)

FROBENIUS = "ops/test_frobenius.py::test_sum_of_squares_its_root_and_their_mean_over_rows"
bugs(
    "ops/frobenius.py",
    ("mean-of-squares", "(x * x).sum()", "(x * x).mean()", FROBENIUS, "reduction=sum"),
    ("mean-over-entries", "reduction_factor(reduction, x.shape[0])", "reduction_factor(reduction, x.size)", FROBENIUS,
     "reduction=mean"),
    ("unsquared-never-a-mean", "return root * scale", "return root", FROBENIUS, "frobenius=unsquared"),
    ("readings-swapped", "if squared:", "if not squared:", FROBENIUS, "frobenius=squared",
     "frobenius=unsquared"),
    ("half-the-gradient", "x * (2 * scale * dy)", "x * (scale * dy)", "gradcheck:frobenius/squared",
     "frobenius=squared"),
    ("gradient-not-a-mean", "x * (2 * scale * dy)", "x * (2 * dy)", "gradcheck:frobenius/mean", "reduction=mean"),
    ("unsquared-twice", "root.real > 0, scale * dy /", "root.real > 0, 2 * scale * dy /",
     "gradcheck:frobenius/unsquared", "frobenius=unsquared"),
    ("zero-by-zero", "x * xp.where(root.real > 0, scale * dy / xp.where(root.real > 0, root, 1), 0)",
     "x * (scale * dy / root)", "ops/test_frobenius.py::test_at_zero_value_and_gradient_are_zero",
     "frobenius=unsquared"),
)

# ---- losses ---------------------------------------------------------------------------------------------------------

EQ1 = "cmirnet/test_eq1_pretraining.py::"
bugs(
    "cmirnet/eq1_pretraining.py",
    ("targets-swapped", 'dtype=dtype) if target == "identity"', 'dtype=dtype) if target == "ones"',
     EQ1 + "test_soft_orthogonality", "orthogonality.target=identity", "orthogonality.target=ones"),
    ("ones-normalised", "else xp.ones((d, d), dtype=dtype)", "else xp.ones((d, d), dtype=dtype) / d",
     EQ1 + "test_soft_orthogonality", "orthogonality.target=ones"),
    ("scaled-by-features", "1 / max(n, 1) if scaled", "1 / max(d, 1) if scaled", EQ1 + "test_soft_orthogonality",
     "orthogonality.scaled"),
    ("target-scaled-too", "(z.T @ z) * scale - goal", "(z.T @ z - goal) * scale", EQ1 + "test_its_minima",
     "orthogonality.scaled"),
    ("half-the-gradient", "(4 * scale * do)", "(2 * scale * do)", "gradcheck:eq1/soft_orthogonality/identity"),
    ("gradient-not-scaled", "(4 * scale * do)", "(4 * do)", "gradcheck:eq1/soft_orthogonality/scaled",
     "orthogonality.scaled"),
    ("off-is-identity", 'if target == "off" or weight == 0:',
     'target = "identity" if target == "off" else target\n    if weight == 0:',
     EQ1 + "test_cross_entropy_plus_weighted_orthogonality", "orthogonality.target=off"),
    ("weight-forgotten", "ce + weight * o", "ce + o", EQ1 + "test_cross_entropy_plus_weighted_orthogonality",
     "orthogonality.weight"),
    ("gradient-without-weight", "(cache.weight * dloss, cache.orth", "(dloss, cache.orth", "gradcheck:eq1/softmax",
     "orthogonality.weight"),
    ("weight-on-both-terms", "(dloss, cache.classification)", "(cache.weight * dloss, cache.classification)",
     "gradcheck:eq1/sigmoid"),
)

EQ2 = "cmirnet/test_eq2_alignment.py::test_distance_of_the_pairs"
bugs(
    "cmirnet/eq2_alignment.py",
    ("sum-of-the-pair", "frobenius(v_a - v_b,", "frobenius(v_a + v_b,", EQ2),
    ("always-squared", "squared=squared, reduction", "squared=True, reduction", EQ2, "frobenius=unsquared"),
    ("always-a-sum", "squared=squared, reduction=reduction)", "squared=squared)", EQ2, "reduction=mean"),
    ("both-the-same-way", "return dv_a, -dv_a", "return dv_a, dv_a", "gradcheck:eq2/squared"),
    ("b-gets-nothing", "return dv_a, -dv_a", "return dv_a, 0 * dv_a", "gradcheck:eq2/unsquared"),
    ("upstream-ignored", "frobenius_backward(dl, cache)", "frobenius_backward(1.0, cache)", "upstream:eq2/mean"),
)

EQ3 = "cmirnet/test_eq3_classification.py::"
bugs(
    "cmirnet/eq3_classification.py",
    ("shared-halves", "u_a.shape[0] / rows, u_b.shape[0] / rows", "0.5, 0.5",
     EQ3 + "test_heads_seen_row_by_row", "classifier=shared"),
    ("separate-halves", "share_a, share_b = 1.0, 1.0", "share_a, share_b = 0.5, 0.5",
     EQ3 + "test_heads_seen_row_by_row", "classifier=separate"),
    ("b-by-a-s-kind", "(u_b, y_b, kind=kinds[1])", "(u_b, y_b, kind=kinds[0])", EQ3 + "test_heads_seen_row_by_row"),
    ("concatenated-by-a-s-labels", "label_union(y_a, y_b, u_a.shape[1])", "y_a",
     EQ3 + "test_a_concatenated_pair_has_the_labels_of_both", "classifier=concatenated"),
    ("labels-of-both-needed", "xp.maximum(hot_a, hot_b)", "xp.minimum(hot_a, hot_b)",
     EQ3 + "test_the_union_of_integer_labels", "classifier=concatenated"),
    ("du_a-without-share", "(cache.share_a * dl, cache.a)", "(dl, cache.a)", "gradcheck:eq3/shared",
     "classifier=shared"),
    ("shares-swapped", "(cache.share_b * dl, cache.b)", "(cache.share_a * dl, cache.b)", "gradcheck:eq3/shared"),
    ("du_a-from-b-s-cache", "(cache.share_a * dl, cache.a)", "(cache.share_a * dl, cache.b or cache.a)",
     "gradcheck:eq3/separate", "classifier=separate"),
)

EQ4 = "cmirnet/test_eq4_feature_norm.py::test_energy_of_both"
bugs(
    "cmirnet/eq4_feature_norm.py",
    ("difference", "return l_a + l_b", "return l_a - l_b", EQ4),
    ("a-twice", "return l_a + l_b", "return l_a + l_a", EQ4),
    ("b-never-a-mean", "frobenius(v_b, reduction=reduction)", "frobenius(v_b)", EQ4, "reduction=mean"),
    ("modalities-swapped", "(dl, cache[0]), frobenius_backward(dl, cache[1])",
     "(dl, cache[1]), frobenius_backward(dl, cache[0])", "gradcheck:eq4/sum"),
    ("gradient-of-one", "frobenius_backward(dl, cache[1])", "0 * cache[1].x", "gradcheck:eq4/mean"),
)

EQ5 = "cmirnet/test_eq5_reconstruction.py::"
bugs(
    "cmirnet/eq5_reconstruction.py",
    ("readings-swapped", "(z_b, z_a) if cross else (z_a, z_b)", "(z_a, z_b) if cross else (z_b, z_a)",
     EQ5 + "test_cross_squared_sum_by_default", "decoder_target=cross", "decoder_target=own"),
    ("b-forgotten", "return l_a + l_b", "return l_a + 0 * l_b", EQ5 + "test_each_decoder_against_its_target"),
    ("b-always-squared", "frobenius(from_b - goal_b, squared=squared,", "frobenius(from_b - goal_b,",
     EQ5 + "test_each_decoder_against_its_target", "frobenius=unsquared"),
    ("a-never-a-mean", "frobenius(from_a - goal_a, squared=squared, reduction=reduction)",
     "frobenius(from_a - goal_a, squared=squared)", EQ5 + "test_each_decoder_against_its_target", "reduction=mean"),
    ("b-by-a-s-error", "frobenius_backward(dl, cache.b)", "frobenius_backward(dl, cache.a)", "gradcheck:eq5/unsquared"),
    ("cross-targets-swapped", "(-dfrom_b, -dfrom_a) if", "(-dfrom_a, -dfrom_b) if", "gradcheck:eq5/cross",
     "decoder_target=cross"),
    ("own-targets-swapped", "else (-dfrom_a, -dfrom_b)", "else (-dfrom_b, -dfrom_a)", "gradcheck:eq5/own",
     "decoder_target=own"),
    ("targets-pushed-away", "(-dfrom_b, -dfrom_a) if", "(dfrom_b, dfrom_a) if",
     EQ5 + "test_a_target_gets_the_opposite_of_its_reconstruction", "target_gradient=flow"),
)

CONTRASTIVE = "cmirnet/test_contrastive.py::"
LOOPS = CONTRASTIVE + "test_both_directions_against_loops"
bugs(
    "cmirnet/contrastive.py",
    ("one-direction", "return (l_a + l_b) / 2, Con", "return l_a, Con",
     CONTRASTIVE + "test_the_two_directions_are_not_the_same"),
    ("not-halved", "return (l_a + l_b) / 2, Con", "return l_a + l_b, Con", LOOPS),
    ("rows-twice", "_find_partners(s.T, reduction)", "_find_partners(s, reduction)",
     CONTRASTIVE + "test_the_two_directions_are_not_the_same"),
    ("temperature-multiplies", "s = s / temperature", "s = s * temperature", LOOPS, "temperature"),
    ("temperature-forgotten", "s = s / temperature", "s = s + 0", LOOPS, "temperature"),
    ("always-a-mean", "arange(s.shape[0]), reduction=reduction)", "arange(s.shape[0]))", LOOPS),
    ("dot-products", "s, cosines = cosine(v_a, v_b)", "s, cosines = v_a @ v_b.T, cosine(v_a, v_b)[1]",
     CONTRASTIVE + "test_only_the_direction_of_an_embedding_counts"),
    ("partners-turned-round", "get_xp(s).arange(s.shape[0])", "get_xp(s).arange(s.shape[0])[::-1]",
     CONTRASTIVE + "test_two_pairs_by_hand"),
    ("gradient-not-halved", "softmax_cross_entropy_backward(dl / 2, cache.rows)",
     "softmax_cross_entropy_backward(dl, cache.rows)", "gradcheck:contrastive/mean"),
    ("columns-not-turned-back", "cache.columns).T", "cache.columns)", "gradcheck:contrastive/sum"),
    ("gradient-without-temperature", "cosine_backward(ds / cache.temperature,", "cosine_backward(ds,",
     "gradcheck:contrastive/mean", "temperature"),
    ("on-by-default", "weight: float = 0.0", "weight: float = 1.0", CONTRASTIVE + "test_it_is_off_unless_asked_for",
     "weights.contrastive"),
)

EQ6 = "cmirnet/test_eq6_total.py::"
PARTS = EQ6 + "test_weighted_sum_of_parts_that_are_reported_unweighted"
READS = EQ6 + "test_every_reading_changes_the_result"
bugs(
    "cmirnet/eq6_total.py",
    ("l2-by-l4-s-weight", 'weights.alignment * parts["alignment"]', 'weights.feature_norm * parts["alignment"]', PARTS,
     "weights.alignment"),
    ("l3-by-l2-s-weight", 'weights.classification * parts["classification"]',
     'weights.alignment * parts["classification"]', PARTS, "weights.classification"),
    ("l4-by-l5-s-weight", 'weights.feature_norm * parts["feature_norm"]',
     'weights.reconstruction * parts["feature_norm"]', PARTS, "weights.feature_norm"),
    ("l5-by-l4-s-weight", 'weights.reconstruction * parts["reconstruction"]',
     'weights.feature_norm * parts["reconstruction"]', PARTS, "weights.reconstruction"),
    ("r-unweighted", 'weights.regulariser * parts["regulariser"]', 'parts["regulariser"]', PARTS,
     "weights.regulariser"),
    ("r-weighs-the-decay", 'r.head_decay * parts["head_decay"]', 'weights.regulariser * parts["head_decay"]', PARTS,
     "head_decay"),
    ("r-left-out-with-the-decay", "if weights.regulariser:", "if r.head_decay:", PARTS, "weights.regulariser"),
    ("last-terms-alone", "loss = loss + weights.reconstruction", "loss = weights.reconstruction", PARTS),
    ("weighed-twice", "loss = loss + weights.alignment *", "loss = loss + weights.alignment * weights.alignment *",
     PARTS, "weights.alignment"),
    ("decay-towards-alpha", '_penalty(decayed, 0.0, "elementwise")', '_penalty(decayed, r.alpha, "elementwise")', PARTS,
     "head_decay", "alpha"),
    ("last-matrix-alone", "value = value + r", "value = r", PARTS, "weights.regulariser"),
    ("alpha-forgotten", "regulariser(w, alpha, reading=reading)", "regulariser(w, 0.0, reading=reading)",
     READS + "[alpha]", "alpha"),
    ("alpha-always-by-norm", "_penalty(regularised, r.alpha, r.alpha_reading)",
     '_penalty(regularised, r.alpha, "norm")', READS + "[alpha_reading]",
     "alpha_reading=elementwise", "alpha_reading=released"),
    ("always-squared", 'r.frobenius == "squared", "reduction"', 'True, "reduction"', PARTS, "frobenius=unsquared"),
    ("l4-always-a-sum", "feature_norm(out.v_a, out.v_b, reduction=r.reduction)", "feature_norm(out.v_a, out.v_b)",
     PARTS, "reduction=mean"),
    ("l5-always-cross", "target=r.decoder_target, ", "", READS + "[decoder_target]", "decoder_target=own"),
    ("classifier-always-shared", "classifier=r.classifier, kinds=", "kinds=", READS + "[classifier]",
     "classifier=separate"),
    ("labels-always-softmax", "classifier=r.classifier, kinds=r.label_losses", "classifier=r.classifier",
     READS + "[label_losses]", "label_loss=sigmoid"),
    ("dl2-without-weight", "alignment_backward(weights.alignment * dl", "alignment_backward(dl",
     "gradcheck:eq6/default",
     "weights.alignment"),
    ("dl3-without-weight", "classification_backward(weights.classification * dl", "classification_backward(dl",
     "gradcheck:eq6/default", "weights.classification"),
    ("dl4-without-weight", "feature_norm_backward(weights.feature_norm * dl", "feature_norm_backward(dl",
     "gradcheck:eq6/default", "weights.feature_norm"),
    ("dl5-without-weight", "reconstruction_backward(weights.reconstruction * dl", "reconstruction_backward(dl",
     "gradcheck:eq6/default", "weights.reconstruction"),
    ("dr-without-weight", "regulariser_backward(weights.regulariser * dl", "regulariser_backward(dl",
     "gradcheck:eq6/released", "weights.regulariser"),
    ("decay-gradient-without-weight", "regulariser_backward(readings.head_decay * dl", "regulariser_backward(dl",
     "gradcheck:eq6/head-decay", "head_decay"),
    ("dl4-overwrites-dl2", "v_a, v_b = v_a + n_a, v_b + n_b", "v_a, v_b = n_a, n_b", "gradcheck:eq6/default"),
    ("dl4-subtracted", "v_a, v_b = v_a + n_a, v_b + n_b", "v_a, v_b = v_a - n_a, v_b - n_b", "gradcheck:eq6/default"),
    ("stop-and-flow-swapped", 'target_gradient == "flow"', 'target_gradient == "stop"',
     EQ6 + "test_targets_get_a_gradient_only_where_it_flows", "target_gradient=stop", "target_gradient=flow"),
    ("float64", "map(xp.zeros_like, cache.z)", "(xp.zeros(z.shape) for z in cache.z)",
     EQ6 + "test_float32_stays_float32"),
)

EQ7 = "cmirnet/test_eq7_regulariser.py::"
bugs(
    "cmirnet/eq7_regulariser.py",
    ("away-from-alpha", "difference = w - alpha", "difference = w + alpha", EQ7 + "test_three_readings", "alpha",
     "alpha_reading=elementwise"),
    ("difference-of-squares", "value = gap * gap if", "value = norm * norm - alpha * alpha if",
     EQ7 + "test_three_readings", "alpha_reading=norm"),
    ("released-without-modulus", "else xp.where(gap.real >= 0, gap, -gap)", "else gap", EQ7 + "test_three_readings",
     "alpha_reading=released"),
    ("norm-of-the-mean", "xp.sqrt((w * w).sum())", "xp.sqrt((w * w).mean())", EQ7 + "test_three_readings",
     "alpha_reading=norm"),
    ("elementwise-towards-zero", "(w - alpha) * (2 * dr)", "w * (2 * dr)", "gradcheck:eq7/elementwise",
     "alpha_reading=elementwise"),
    ("half-the-gradient", "2 * (norm - alpha) if", "(norm - alpha) if", "gradcheck:eq7/norm",
     "alpha_reading=norm"),
    ("direction-not-unit", "slope * dr / xp.where(norm > 0, norm, xp.inf)", "slope * dr",
     "gradcheck:eq7/norm", "alpha_reading=norm"),
    ("released-always-shrinks", "xp.sign(norm - alpha)", "xp.sign(norm)", "gradcheck:eq7/released/below",
     "alpha_reading=released"),
    ("zero-by-zero", "xp.where(norm > 0, norm, xp.inf)", "norm",
     EQ7 + "test_at_zero_only_the_elementwise_reading_leads_away"),
)

# ---- networks -------------------------------------------------------------------------------------------------------

FORMULA = "cmirnet/test_latent.py::test_every_output_from_its_formula"
WHERE = "nets/test_pretrainers.py::test_where_a_stack_is_rectified"
bugs(
    "nets/mlp.py",
    ("hidden-rectifies-the-last", "and layer < depth", "and layer <= depth", WHERE + "[hidden-rectified1]",
     "encoder_activation=hidden", "decoder_activation=hidden"),
    ("relu-leaves-the-last", 'activation == "relu" or (activation == "hidden" and layer < depth)',
     'activation != "linear" and layer < depth', WHERE + "[relu-rectified0]",
     "encoder_activation=relu", "decoder_activation=relu"),
    ("linear-rectifies-the-first", 'activation == "relu" or (activation == "hidden" and layer < depth)',
     'activation == "relu" or layer < depth', WHERE + "[linear-rectified2]",
     "encoder_activation=linear", "decoder_activation=linear"),
    ("last-layer-missing", "range(1, depth + 1)", "range(1, depth)", FORMULA),
    ("dx-of-given-features-all-the-same", "cache is not caches[0][1]", "True",
     "cmirnet/test_objective.py::test_the_gradient_of_given_features_can_be_left_out"),
    ("db-and-dw-of-the-layer-above", "for name, cache in reversed(caches):", "for name, cache in caches:",
     "gradcheck:mlp/linear"),
)

DENSE = "nets/test_pretrainers.py::test_dense_pretrainer"
bugs(
    "nets/head.py",
    ("z-after-dropout", "PretrainerOutput(logits, z, s)", "PretrainerOutput(logits, kept, s)", DENSE),
    ("z-before-relu", "PretrainerOutput(logits, z, s)", "PretrainerOutput(logits, s, s)", DENSE),
    ("dropout-as-in-inference", "else dropout(z, mask, rate)", "else dropout(z, mask | True, 0.0)", DENSE,
     "stage1.dropout"),
    ("gradient-of-z-lost", "dz = d.z + (", "dz = 0 * d.z + (", "gradcheck:head"),
    ("gradient-of-the-classifier-lost", "dz = d.z + (", "dz = d.z + 0 * (", "gradcheck:head"),
    ("gradient-of-s-rectified", "d.s + relu_backward(dz, cache.relu)", "relu_backward(dz + d.s, cache.relu)",
     "gradcheck:head", "orthogonality.before_relu"),
    ("dropout-not-differentiated", "dkept if cache.dropout is None else dropout_backward(dkept, cache.dropout)",
     "dkept", "gradcheck:head", "stage1.dropout"),
)

bugs(
    "nets/feature_pretrainer.py",
    ("dropout-in-inference", 'if mode == "train" else None', "if masks else None", DENSE, "stage1.dropout"),
    ("last-hidden-layer-linear", "depth=len(arch.hidden))", 'depth=len(arch.hidden), activation="hidden")', DENSE,
     "stage1.hidden"),
    ("dx-of-the-hidden-layers", "return grads | hidden, dx", "return grads | hidden, dh",
     "gradcheck:feature_pretrainer"),
)

CONVNET = "nets/test_conv_pretrainer.py::"
STEPS = CONVNET + "test_three_blocks_step_by_step"
bugs(
    "nets/conv_pretrainer.py",
    ("frozen-ignored", '"frozen" if arch.batch_norm == "frozen" else mode', "mode",
     CONVNET + "test_frozen_norm_reads_no_statistics_and_returns_none", "batch_norm=frozen"),
    ("mean-for-variance", 'f"norm.{i}.var": cache.var', 'f"norm.{i}.var": cache.mean',
     CONVNET + "test_training_differs_from_inference_in_norm_and_in_dropout", "batch_norm=train"),
    ("inference-by-the-batch", 'norm_mode = "frozen" if arch.batch_norm == "frozen" else mode',
     'norm_mode = "frozen" if arch.batch_norm == "frozen" else "train"', STEPS, "batch_norm=train"),
    ("always-the-paper-s-order", "order=arch.block_order", 'order="conv-pool-act-norm"', STEPS,
     "block_order=conv-act-norm-pool"),
    ("dropout-rate-lost", 'if mode == "train" else None, arch.dropout)', 'if mode == "train" else None, 0.0)',
     CONVNET + "test_training_differs_from_inference_in_norm_and_in_dropout", "stage1.dropout"),
    ("larger-side-decides", "side = min(height, width)", "side = max(height, width)",
     CONVNET + "test_the_shapes_of_the_paper[shape5-3072]"),
    ("image-gradient-always", "needed = i > 1 or cache.input_gradient", "needed = bool(i)",
     CONVNET + "test_gradients_have_the_names_shapes_and_dtype_of_the_parameters"),
    ("blocks-from-the-first", "range(len(cache.blocks), 0, -1)", "range(1, len(cache.blocks) + 1)",
     "gradcheck:conv_pretrainer/paper/plain"),
    ("dgamma-and-dbeta-swapped", 'f"norm.{i}.gamma": dgamma, f"norm.{i}.beta": dbeta',
     'f"norm.{i}.gamma": dbeta, f"norm.{i}.beta": dgamma', "gradcheck:conv_pretrainer/released/frozen"),
)

BLOCK = "nets/test_conv_block.py::test_four_operations_in_their_order"
SAME_GRADIENTS = "nets/test_conv_block.py::test_fused_and_plain_have_the_same_gradients"
bugs(
    "nets/conv_block.py",
    ("released-is-the-paper-s", 'if order == "conv-pool-act-norm" and not fused:', "if not fused:", BLOCK,
     "block_order=conv-act-norm-pool"),
    ("fused-released-is-the-paper-s", 'elif order == "conv-pool-act-norm":', "elif fused:", BLOCK,
     "block_order=conv-act-norm-pool"),
    ("paper-norms-before-act",
     "a, act_cache = leaky_relu(p, slope)\n        y, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)",
     "a, norm_cache = batch_norm(p, gamma, beta, mean, var, mode=mode)\n        y, act_cache = leaky_relu(a, slope)",
     BLOCK, "block_order=conv-pool-act-norm"),
    ("slope-zero", "leaky_relu(p, slope)", "leaky_relu(p, 0.0)", BLOCK),
    ("fused-slope-of-one-percent", "factor=pool, slope=slope, mode=mode", "factor=pool, mode=mode", BLOCK),
    ("statistics-swapped", "norm_cache.mean, norm_cache.var)", "norm_cache.var, norm_cache.mean)", BLOCK,
     "batch_norm=train"),
    ("act-not-differentiated", "dp = leaky_relu_backward(da, act_cache)", "dp = 1 * da", "gradcheck:conv_block/paper"),
    ("norm-not-differentiated", "da, dgamma, dbeta = batch_norm_backward(dz, norm_cache)",
     "_, dgamma, dbeta = batch_norm_backward(dz, norm_cache)\n        da = dz", "gradcheck:conv_block/released"),
    ("fused-norm-gets-the-pooled-gradient", "conv_max_pool_backward(dp, conv_cache",
     "conv_max_pool_backward(dy, conv_cache",
     SAME_GRADIENTS),
    ("upstream-ignored", "conv_act_norm_pool_backward(dy, norm_cache",
     "conv_act_norm_pool_backward(1 + 0 * dy, norm_cache",
     "upstream:conv_block/released/fused"),
    ("dgamma-and-dbeta-swapped", "return dx, dw, db, dgamma, dbeta", "return dx, dw, db, dbeta, dgamma",
     "gradcheck:conv_block/paper/fused"),
)

WHICH = "cmirnet/test_latent.py::test_which_matrices_are_regularised_and_which_decay"
bugs(
    "cmirnet/latent.py",
    ("decoders-swapped", 'mlp(params, "decoder_ab", v_a', 'mlp(params, "decoder_ba", v_a', FORMULA),
    ("columns-swapped", "concatenate([v_a, v_b], axis=1)", "concatenate([v_b, v_a], axis=1)", FORMULA,
     "classifier=concatenated"),
    ("one-head-for-both", "name_a, name_b = names[0], names[-1]", "name_a, name_b = names[0], names[0]", FORMULA,
     "classifier=separate"),
    ("dropout-of-the-other", 'in (modality, "both")', 'in ("ab".replace(modality, ""), "both")',
     "cmirnet/test_latent.py::test_dropout_of_b_touches_b_alone", "latent_dropout=a", "latent_dropout=b"),
    ("both-is-none", 'in (modality, "both")', "in (modality,)", FORMULA, "latent_dropout=both"),
    ("dropout-always", 'arch.latent_dropout in (modality, "both")', 'arch.latent_dropout in (modality, "both", "none")',
     FORMULA, "latent_dropout=none"),
    ("dropout-in-inference", 'if mode == "train" and arch', "if masks and arch", FORMULA),
    ("one-mask-for-both", "dropout(v, masks[modality], arch.dropout)", 'dropout(v, masks["b"], arch.dropout)',
     FORMULA, "latent_dropout=a"),
    ("encoder-as-the-decoder", "activation=arch.encoder_activation", "activation=arch.decoder_activation", FORMULA,
     "encoder_activation=hidden"),
    ("decoder-as-deep-as-the-encoder", '"depth": arch.decoder_depth', '"depth": arch.encoder_depth',
     "cmirnet/test_latent.py::test_encoder_and_decoder_have_depths_of_their_own", "decoder_depth"),
    ("encoder-as-deep-as-the-decoder", "depth=arch.encoder_depth, activation", "depth=arch.decoder_depth, activation",
     "cmirnet/test_latent.py::test_encoder_and_decoder_have_depths_of_their_own", "encoder_depth"),
    ("decoder-into-its-own-width", "[d_other] * arch.decoder_depth", "[d] * arch.decoder_depth",
     "cmirnet/test_latent.py::test_shapes_of_the_parameters"),
    ("d_v-everywhere", "[d] * arch.encoder_depth", "[d] + [arch.d_v] * (arch.encoder_depth - 1)",
     "cmirnet/test_latent.py::test_shapes_of_the_parameters", "d_v"),
    ("classifier-of-b-alone", "dw_a + dw_b", "0 * dw_a + dw_b",
     "cmirnet/test_latent.py::test_the_shared_head_adds_up_both_modalities", "classifier=shared"),
    ("bias-of-b-alone", "db_a + db_b", "0 * db_a + db_b",
     "gradcheck:latent_network/shared", "classifier=shared"),
    ("dv-without-losses", "d.v_a + dv_a", "0 * d.v_a + dv_a",
     "gradcheck:latent_network/shared"),
    ("dv-without-classifier", "d.v_b + dv_b", "d.v_b + 0 * dv_b", "gradcheck:latent_network/shared"),
    ("dv-without-decoder", "dv = dv + dv_decoder", "dv = dv + 0 * dv_decoder", "gradcheck:latent_network/shared"),
    ("columns-go-back-swapped", "dv[:, :d_v], dv[:, d_v:]", "dv[:, d_v:], dv[:, :d_v]",
     "gradcheck:latent_network/concatenated",
     "classifier=concatenated"),
    ("dropout-not-differentiated", "dv = dropout_backward(dv, cache.dropout)", "dv = 1 * dv",
     "gradcheck:latent_network/separate", "latent_dropout=b"),
    ("last-is-first", 'if layers == "all" else (depth,)', 'if layers == "all" else (1,)', WHICH,
     "regularized_layers=last"),
    ("all-but-the-last", 'range(1, depth + 1) if layers == "all"', 'range(1, depth) if layers == "all"', WHICH,
     "regularized_layers=all"),
    ("decoders-never-decay", 'startswith(("classifier", "decoder"))', 'startswith(("classifier",))', WHICH,
     "head_decay"),
)

OBJECTIVE = "cmirnet/test_objective.py::"
ADDED = OBJECTIVE + "test_the_contrastive_term_is_added_with_its_weight_and_reported_without"
bugs(
    "cmirnet/objective.py",
    ("r-always-of-all-layers", "regularised_matrices(params, regularized_layers,",
     'regularised_matrices(params, "all",',
     OBJECTIVE + "test_equation_6_of_the_networks_output", "regularized_layers=last"),
    ("nothing-decays", "regularised, decayed_matrices(params), weights", "regularised, {}, weights",
     OBJECTIVE + "test_equation_6_of_the_networks_output", "head_decay"),
    ("r-overwrites-the-network", "grads[name] = grads[name] + dw", "grads[name] = dw", "gradcheck:objective/default",
     "weights.regulariser"),
    ("r-not-differentiated", "grads[name] = grads[name] + dw", "grads[name] = grads[name] + 0 * dw",
     "gradcheck:objective/regulariser-alone", "weights.regulariser"),
    ("contrast-unweighted", "contrast.weight * value,", "value,", ADDED, "weights.contrastive"),
    ("contrast-not-differentiated", "v_b=d.output.v_b + dv_b", "v_b=d.output.v_b", ADDED, "weights.contrastive"),
    ("contrast-gradient-unweighted", "contrastive_backward(cache.contrast.weight * dl,", "contrastive_backward(dl,",
     ADDED, "weights.contrastive"),
    ("contrast-at-its-usual-temperature", "temperature=contrast.temperature", "temperature=0.1", ADDED, "temperature"),
    ("targets-get-nothing", "(dz[0] + d.z[0], dz[1] + d.z[1])", "(dz[0], dz[1])", "gradcheck:objective/flow",
     "target_gradient=flow"),
    ("targets-swapped", "(dz[0] + d.z[0], dz[1] + d.z[1])", "(dz[0] + d.z[1], dz[1] + d.z[0])",
     OBJECTIVE + "test_features_are_targets_only_where_the_gradient_flows", "target_gradient=flow"),
)

MANY = "cmirnet/test_many.py::"
bugs(
    "cmirnet/many.py",
    ("decoders-swapped", '        f"decoder_{p}{q}": "decoder_ab",\n        f"decoder_{q}{p}": "decoder_ba",',
     '        f"decoder_{p}{q}": "decoder_ba",\n        f"decoder_{q}{p}": "decoder_ab",', "gradcheck:many/default"),
    ("last-pair-alone", "loss = loss + value", "loss = value", MANY + "test_eq_6_of_every_pair_added_up"),
    ("a-mean-over-pairs", "return loss, ManyCache", "return loss / len(pairs), ManyCache",
     MANY + "test_eq_6_of_every_pair_added_up"),
    ("masks-of-the-place-in-the-pair", '{"a": masks[p], "b": masks[q]}', '{"a": masks["a"], "b": masks["b"]}',
     MANY + "test_dropout_is_of_the_modality_that_is_named"),
    ("dropout-of-the-first-of-each-pair", '{p: "a", q: "b", "both": "both"}.get(arch.latent_dropout, "none")',
     "arch.latent_dropout", MANY + "test_dropout_is_of_the_modality_that_is_named"),
    ("gradient-of-the-last-pair", "grads[names[name]] + g if names[name] in grads else g", "g",
     "gradcheck:many/default"),
    ("features-of-the-first-pair", "dz[m] + g if input_gradient", "dz[m] if input_gradient",
     MANY + "test_every_gradient_is_the_sum_of_the_pairs"),
    ("parts-of-the-last-pair", "parts.get(name, 0.0) + part", "part",
     MANY + "test_every_gradient_is_the_sum_of_the_pairs"),
)

bugs(
    "cmirnet/pretraining_objective.py",
    ("always-after-relu", "out.s if before_relu else out.z", "out.z", "gradcheck:pretraining_objective/s",
     "orthogonality.before_relu"),
    ("gradient-always-after-relu", "(zero, dfeatures) if cache.before_relu else (dfeatures, zero)", "(dfeatures, zero)",
     "gradcheck:pretraining_objective/s", "orthogonality.before_relu"),
    ("orthogonality-not-differentiated", "if dfeatures is None:", "if dfeatures is not zero:",
     "gradcheck:pretraining_objective/z", "orthogonality.weight"),
)

ENDS = "cmirnet/test_end_to_end.py::test_the_objective_of_the_fronts_features_and_back"
bugs(
    "cmirnet/end_to_end.py",
    ("s-for-z", "z.append(out.z)", "z.append(out.s)", ENDS, "stages=end-to-end"),
    ("statistics-lost", "statistics |= add_prefix", "statistics = {} or add_prefix", ENDS, "stages=end-to-end"),
    ("inference-in-the-fronts", '{"mode": mode, "buffers"', '{"mode": "inference", "buffers"', ENDS),
    ("gradient-enters-before-relu", "dz_m, xp.zeros_like(front.out.s)", "xp.zeros_like(front.out.z), dz_m", ENDS,
     "stages=end-to-end"),
    ("fronts-without-a-gradient", "input_gradient=any(cache.fronts)", "input_gradient=not any(cache.fronts)", ENDS,
     "stages=end-to-end"),
    ("gradients-swapped", "zip(FRONTS, cache.fronts, dz, strict=True)",
     "zip(FRONTS, cache.fronts, dz[::-1], strict=True)",
     "cmirnet/test_end_to_end.py::test_the_objective_of_the_fronts_features_and_back[fronts1-train]"),
)

HASHING = "hashing/test_hashing_"
CODES = HASHING + "codes.py::"
bugs(
    "hashing/codes.py",
    ("zero-is-no-bit", "return xp.where(x < 0, -one, one)", "return xp.sign(x) * one",
     CODES + "test_a_code_has_two_values_and_the_dtype_of_what_it_is_a_code_of"),
    ("own-mean", "return (z - mean) @ w", "return (z - z.mean(axis=0)) @ w",
     CODES + "test_a_projection_is_centred_on_the_training_features"),
    ("signs-about-zero", "return signs(v - mean)", "return signs(v)",
     CODES + "test_signs_about_the_training_mean_split_what_no_sign_of_its_own_does"),
    ("zero-and-one-are-codes", "bool((v * v == 1).all())", "bool((v * v == (v * v) ** 2).all())",
     CODES + "test_a_float_counts_32_bits_and_a_sign_one"),
)

CCA = HASHING + "cca.py::"
UNCORRELATED = CCA + "test_embeddings_are_uncorrelated_and_pairs_of_them_correlated_as_it_says"
bugs(
    "hashing/cca.py",
    ("not-whitened", "k = q / xp.sqrt(eigenvalues)", "k = q / eigenvalues", UNCORRELATED),
    ("not-centred", "x = z - mean", "x = z - 0 * mean", UNCORRELATED),
    ("absolute-ridge", "ridge * level * xp.eye(d)", "ridge * xp.eye(d)",
     CCA + "test_the_ridge_does_not_depend_on_the_scale_of_the_features"),
    ("rows-of-v", "vt[:count].T", "vt[:, :count]", UNCORRELATED),
    ("squares-overflow", "x = x / scale", "x, scale = x / 1.0, 1.0",
     CCA + "test_the_unit_of_the_features_does_not_matter[1e+200]"),
    ("back-in-another-unit", "WhiteFeatures(x @ k, mean, k / scale)", "WhiteFeatures(x @ k, mean, k)",
     CCA + "test_the_unit_of_the_features_does_not_matter[1e+200]"),
    ("rounding-is-variance", "largest <= 1e-14 * float(xp.abs(z).max())", "largest <= 0",
     CCA + "test_constant_features_are_refused_whatever_their_mean_rounds_to[0.1]"),
)

SCM = HASHING + "scm.py::"
WHOLE = SCM + "test_orthogonal_is_the_whole_eigenproblem"
EACH_BIT = SCM + "test_each_sequential_bit_is_the_leading_pair_of_its_residual"
STOPS = SCM + "test_where_the_labels_have_no_more_to_say_bits_are_canonical_directions"
bugs(
    "hashing/scm.py",
    ("similarity-from-0-to-1", "largest_directions(2 * l_a @ l_b.T", "largest_directions(l_a @ l_b.T", WHOLE),
    ("labels-not-normalised", "xp.where(lengths > 0, lengths, 1)", "xp.where(lengths > 0, 1, 1)", WHOLE),
    ("labels-add-up-to-one", "xp.sqrt((rows * rows).sum(axis=1, keepdims=True))",
     "(rows * rows).sum(axis=1, keepdims=True)", WHOLE),
    ("similarity-once", "m = 2 * bits * l_a", "m = 2 * l_a", EACH_BIT),
    ("residual-forgotten", "m = m - (", "m = m - 0 * (", EACH_BIT),
    ("residual-of-projections", "@ (b.p.T @ signs(b.p @ v)).T", "@ (b.p.T @ (b.p @ v)).T", EACH_BIT),
    ("never-stops", "value[0] > directions[-1][1][0]", "value[0] > bits * directions[-1][1][0]", STOPS),
    ("fills-with-the-residual", "largest_directions(a.p.T @ b.p / n, bits - supervised)",
     "largest_directions(m, bits - supervised)",
     STOPS),
)

DCMH = HASHING + "dcmh.py::"
EVERY_PAIR = DCMH + "test_likelihood_of_every_pair_of_samples"
BY_ENTRY = DCMH + "test_the_formula_entry_by_entry"
SMALL_SLOPE = DCMH + "test_the_slope_of_a_right_answer_is_small_and_exact"
bugs(
    "hashing/dcmh.py",
    ("likelihood-without-the-half", "theta = f @ g.T * 0.5", "theta = f @ g.T", EVERY_PAIR),
    ("likelihood-turned-round", "theta * xp.where(positive, 1 - s, -s)", "theta * xp.where(positive, s, s - 1)",
     EVERY_PAIR),
    ("overflows", "xp.where(positive, -theta, theta)", "xp.where(positive, theta, theta)", EVERY_PAIR),
    ("slope-of-the-dissimilar", "- s * xp.where(positive, small, 1)) / (1 + small)", "- s) / (1 + small)",
     "gradcheck:hashing/likelihood"),
    ("slope-cancels", "((1 - s) * xp.where(positive, 1, small) - s * xp.where(positive, small, 1)) / (1 + small)",
     "xp.where(positive, 1, small) / (1 + small) - s", SMALL_SLOPE),
    ("float64", "s = similar.astype(f.real.dtype)", "s = similar.astype(float)", "float32:hashing/likelihood"),
    ("half-not-differentiated", "slope = slope * (0.5 * dl)", "slope = slope * dl", "gradcheck:hashing/likelihood"),
    ("upstream-ignored", "slope = slope * (0.5 * dl)", "slope = slope * 0.5", "gradcheck:hashing/likelihood"),
    ("square-slope-not-transposed", "return slope @ g, slope.T @ f",
     "return slope @ g, (slope if len(f) == len(g) else slope.T) @ f",
     "gradcheck/test_battery.py::test_in_every_regime_of_shapes[square-hashing/likelihood]"),
    ("quantised-to-minus-b", "frobenius(out - b.astype", "frobenius(out + b.astype", BY_ENTRY),
    ("gamma-and-eta-exchanged", 'gamma * parts["quantisation"] + eta * parts["balance"]',
     'eta * parts["quantisation"] + gamma * parts["balance"]', BY_ENTRY),
    ("balance-of-the-batch", "total if rest is None else", "total if rest is None or len(rest) else",
     DCMH + "test_the_gradient_for_a_batch_is_that_of_all_pairs"),
    ("balance-not-differentiated", "frobenius_backward(cache.eta * dj, balanced)",
     "frobenius_backward(0 * cache.eta * dj, balanced)", "gradcheck:hashing/dcmh"),
    ("gamma-not-differentiated", "frobenius_backward(cache.gamma * dj, quantised)",
     "frobenius_backward(dj, quantised)", "gradcheck:hashing/dcmh"),
    ("codes-of-the-difference", "return signs(f + g)", "return signs(f - g)",
     DCMH + "test_shared_codes_minimise_the_objective"),
    ("outputs-rectified", 'activation="hidden")', 'activation="relu")',
     DCMH + "test_a_code_is_the_sign_of_a_dense_network"),
    ("starts-on-one-side", '    params["hash.2.w"] *= 0.1\n', "", DCMH + "test_a_network_starts_near_zero"),
)

RECONSTRUCTED = HASHING + "sidhcnn.py::test_dcmh_and_similarity_within_each_source"
bugs(
    "hashing/sidhcnn.py",
    ("one-source-twice", "likelihood(g, g, similar)", "likelihood(f, f, similar)", RECONSTRUCTED),
    ("mu-forgotten", 'loss + mu * parts["within"]', 'loss + parts["within"]', RECONSTRUCTED),
    ("one-side-alone", "d + left + right", "d + left", "gradcheck:hashing/sidhcnn"),
    ("one-side-twice", "d + left + right", "d + 2 * left", "gradcheck:hashing/sidhcnn"),
    ("mu-not-differentiated", "likelihood_backward(cache.mu * dj, one)", "likelihood_backward(dj, one)",
     "gradcheck:hashing/sidhcnn"),
)

PROBABILITIES = HASHING + "baselines.py::"
bugs(
    "hashing/baselines.py",
    ("softmax-overflows", "xp.exp(u - u.max(axis=1, keepdims=True))", "xp.exp(u)",
     PROBABILITIES + "test_logits_of_any_size_overflow_nowhere"),
    ("softmax-over-samples", "e / e.sum(axis=1, keepdims=True)", "e / e.sum(axis=0, keepdims=True)",
     PROBABILITIES + "test_softmax_and_sigmoid"),
    ("sigmoid-turned-round", "xp.where(u >= 0, 1, small)", "xp.where(u < 0, 1, small)",
     PROBABILITIES + "test_softmax_and_sigmoid"),
)

PARAMS = "test_params.py::"
bugs(
    "params.py",
    ("he-without-two", "np.sqrt(2 / fan_in)", "np.sqrt(1 / fan_in)", PARAMS + "test_initial_values"),
    ("xavier-too-wide", "np.sqrt(3 / size)", "np.sqrt(6 / size)", PARAMS + "test_initial_values",
     "bias_init=xavier"),
    ("zero-is-xavier", 'if init == "xavier" and size:', 'if init != "" and size:', PARAMS + "test_initial_values",
     "bias_init=zero"),
    ("biases-always-zero", "bias(rng, d, bias_init)", "bias(rng, d)",
     PARAMS + "test_dense_layers_are_drawn_in_their_order_weights_before_biases", "bias_init=xavier"),
    ("fan-out-for-fan-in", "fan_in=c)", "fan_in=d)",
     PARAMS + "test_dense_layers_are_drawn_in_their_order_weights_before_biases"),
    ("no-separator", "start = prefix + separator", "start = prefix", PARAMS + "test_names_below_a_prefix"),
    ("gradients-in-their-own-order", "grads[name].ravel() for name in params", "grads[name].ravel() for name in grads",
     PARAMS + "test_gradients_are_flattened_in_the_order_of_the_parameters"),
)

# ---- training -------------------------------------------------------------------------------------------------------

ADAM = "training/test_adam.py::"
TEN = ADAM + "test_ten_steps_are_the_textbook_s"
bugs(
    "training/adam.py",
    ("betas-swapped", "= 0.9, 0.999, 1e-8", "= 0.999, 0.9, 1e-8", TEN),
    ("first-moment-not-corrected", "lr / (1 - BETA1**t)", "lr",
     ADAM + "test_bias_correction_makes_the_first_step_as_long_as_the_rate"),
    ("second-moment-not-corrected", "math.sqrt(1 - BETA2**t)", "1.0",
     ADAM + "test_bias_correction_makes_the_first_step_as_long_as_the_rate"),
    ("correction-one-step-late", "(1 - BETA1**t)", "(1 - BETA1 ** (t + 1))", TEN),
    ("epsilon-not-scaled", "* root, EPSILON * root", "* root, EPSILON", TEN),
    ("always-the-first-step", "adam_numbers(t, lr)", "adam_numbers(1, lr)", TEN),
    ("second-moment-of-the-moment", "share_v * (g * g - v)", "share_v * (m * m - v)", TEN),
    ("moment-not-decayed", "share_m * (g - m)", "share_m * g", TEN),
    ("epsilon-in-the-root", "sqrt(v) + epsilon", "sqrt(v + epsilon)", TEN),
    ("uphill", "theta -= rate", "theta += rate", TEN),
    ("decay-without-rate", "theta -= lr * (decay * theta)", "theta -= decay * theta", TEN, "stage1.weight_decay",
     "stage2.weight_decay"),
    ("decay-grows", "theta -= lr", "theta += lr", TEN),
    ("decay-coupled", "theta -= lr * (decay * theta)", "g = g + decay * theta", TEN),
    ("not-in-place", "theta -= rate * (m", "theta = theta - rate * (m", TEN),
    ("writes-into-the-gradient", "    m += share_m", "    g *= 2\n    m += share_m",
     ADAM + "test_a_step_is_in_place_leaves_the_gradient_and_keeps_the_dtype"),
    ("warmup-from-zero", "(step + 1) / rising", "step / rising", ADAM + "test_warmup_rises_linearly_to_the_rate",
     "stage1.warmup", "stage2.warmup"),
    ("warmup-cuts-the-cosine", "(step - rising) / max(steps - rising, 1)", "step / max(steps - rising, 1)",
     ADAM + "test_warmup_rises_linearly_to_the_rate", "stage1.warmup", "stage2.warmup"),
    ("cosine-always", 'if schedule == "constant":', 'if schedule == "":', ADAM + "test_learning_rate",
     "stage1.schedule=constant", "stage2.schedule=constant"),
    ("whole-cosine", "lr * 0.5 * (1 + math.cos(math.pi *", "lr * 0.5 * (1 + math.cos(2 * math.pi *",
     ADAM + "test_learning_rate", "stage1.schedule=cosine", "stage2.schedule=cosine"),
)

BITS = ADAM + "test_chunks_change_no_bit"
bugs(
    "ops/fused/adam.py",
    ("chunks-last-chunk-forgotten", "range(0, len(theta), CHUNK)", "range(0, len(theta) - len(theta) % CHUNK, CHUNK)",
     BITS),
    ("chunks-second-moment-of-the-moment", "np.multiply(g_p, g_p, out=s)", "np.multiply(m_p, m_p, out=s)", BITS),
    ("chunks-moment-not-decayed", "np.subtract(g_p, m_p, out=s)", "np.copyto(s, g_p)", BITS),
    ("chunks-epsilon-in-the-root", "np.sqrt(v_p, out=s)\n        s += epsilon", "np.sqrt(v_p + epsilon, out=s)", BITS),
    ("chunks-uphill", "s *= rate\n        theta_p -= s", "s *= rate\n        theta_p += s", BITS),
    ("chunks-decay-of-the-first-chunk", "decay[part] if", "decay[: len(s)] if", BITS),
    ("chunks-decay-without-rate", "            s *= lr\n", "", BITS),
    ("chunks-not-in-place", "s *= rate\n        theta_p -= s", "s *= rate\n        theta_p = theta_p - s", TEN),
    ("chunks-writes-into-the-gradient", "np.multiply(g_p, g_p, out=s)", "g_p *= g_p\n        np.copyto(s, g_p)",
     ADAM + "test_a_step_is_in_place_leaves_the_gradient_and_keeps_the_dtype"),
)

WHICH_ARRAYS = "test_kernels.py::test_which_arrays_kernels_support"
bugs(
    "kernels.py",
    ("any-library", 'xp.__name__ == "cupy"', "bool(xp.__name__)", WHICH_ARRAYS),
    ("halves-too", '.dtype.char in "fd"', '.dtype.char in "efd"', WHICH_ARRAYS),
    ("mixed-dtypes", "for array in arrays}) == 1", "for array in arrays}) >= 1", WHICH_ARRAYS),
)

ON_CPU = "test_kernels.py::"
ELEMENTS = ON_CPU + "test_a_kernel_gives_the_bits_of_its_twin"
COLUMNS = ON_CPU + "test_columns_and_back"
POOLS = ON_CPU + "test_pools_with_ties_and_windows_left_over"
LAYER = ON_CPU + "test_a_layer_of_whole_numbers_has_the_same_bits"
TWINS = "ops/test_on_device_twins.py::"
LAYER_BY_ENTRY = TWINS + "test_a_layer_entry_by_entry"
LAYER_OF_ANY = ON_CPU + "test_a_layer_of_any_numbers_is_the_plain_one"
COLUMN_SUMS = ON_CPU + "test_column_sums_of_whole_numbers_have_the_same_bits"
NORMS = ON_CPU + "test_norms_all_at_once"
ENTROPY = ON_CPU + "test_a_cross_entropy_is_the_plain_one"
MASKS = ON_CPU + "test_masks_of_a_device_are_the_generator_s_of_the_host"
bugs(
    "kernel_texts.py",  # killed where there is no GPU: the text runs as C++
    ("kernel-index-of-the-row-above", "row = pixel / w % h + tap / k - k / 2", "row = pixel / w % h + tap / k - k",
     COLUMNS),
    ("kernel-border-read", "bool inside = row >= 0 && row < h &&", "bool inside = row < h &&", COLUMNS),
    ("kernel-stride-of-the-width", "((pixel / (h * w) * h + row) * w + col) * c",
     "((pixel / (h * w) * h + row) * h + col) * c",
     COLUMNS),
    ("kernel-taps-turned-round", "p = row - tap / k + k / 2", "p = row + tap / k - k / 2", COLUMNS),
    ("kernel-last-of-a-tie", "if (candidate > largest ||", "if (candidate >= largest ||", POOLS),
    ("kernel-windows-left-over-win", "bool won = p < down && q < across &&",
     "bool won = p < down + 1 && q < across + 1 &&", POOLS),
    ("kernel-stride-of-the-window", "(tap / f * w + tap % f) * c", "(tap / f * h + tap % f) * c", POOLS),
    ("kernel-tail-of-the-product", "left[threadIdx.y][threadIdx.x] = i < rows && k < inner ?",
     "left[threadIdx.y][threadIdx.x] = i < rows ?", LAYER),
    ("kernel-tail-of-the-rows", "if (i < rows && j < columns) { STORE }", "if (j < columns) { STORE }", LAYER),
    ("kernel-last-tile-left-out", "start < inner; start += 16", "start + 16 <= inner; start += 16", LAYER),
    ("kernel-product-without-first-barrier", "    __syncthreads();\n    for (int t = 0;", "    for (int t = 0;", LAYER),
    ("kernel-product-without-second-barrier", "* right[t][threadIdx.x];\n    __syncthreads();",
     "* right[t][threadIdx.x];", LAYER),
    ("kernel-stride-of-w", '"w[j * inner + k]"', '"w[k * columns + j]"', LAYER),
    ("kernel-gate-forgotten", '"(!active || y[k * columns + j] > 0 ? dy[k * columns + j] : (T)0)"',
     '"dy[k * columns + j]"', LAYER),
    ("kernel-db-of-the-first-input", '"(i == 0 ? (T)1 : x[', '"(i == 0 ? x[k * (rows - 1)] : x[', LAYER),
    ("kernel-product-in-float", "T sum = 0;\nfor (Int start", "float sum = 0;\nfor (Int start",
     LAYER_OF_ANY + "[float64-True-True]"),
    ("kernel-race-on-the-sum", "sums[blockIdx.y * columns + c] = part[0]", "sums[c] += part[0]", COLUMN_SUMS),
    ("kernel-race-in-shared-memory", "        part[threadIdx.y][threadIdx.x] = sum;\n        __syncthreads();",
     "        part[threadIdx.y][threadIdx.x] = sum;", COLUMN_SUMS),
    ("kernel-columns-beyond-the-last", "if (threadIdx.y == 0 && c < columns) sums", "if (threadIdx.y == 0) sums",
     COLUMN_SUMS),
    ("kernel-half-of-the-tree", "for (int half = 4; half > 0; half /= 2)", "for (int half = 4; half > 1; half /= 2)",
     COLUMN_SUMS),
    ("kernel-rows-of-one-block", "r += (Int)gridDim.y * 8", "r += (Int)8", COLUMN_SUMS),
    ("kernel-slope-in-float", "value > 0 ? value : (T)slope * value",
     "value > 0 ? value : (T)(float)(slope / 3) * value",
     ON_CPU + "test_the_way_of_the_kernels_is_the_plain_composition"),
    ("kernel-energies-race", "part[threadIdx.x] += part[threadIdx.x + half];\n            __syncthreads();",
     "part[threadIdx.x] += part[threadIdx.x + half];", NORMS),
    ("kernel-energies-of-one-thread", "if (threadIdx.x == 0) parts[", "parts[", NORMS),
    ("kernel-energies-step", "step = (Int)gridDim.x * blockDim.x;", "step = blockDim.x;", NORMS),
    ("kernel-norm-slope-twice", "coefficients[{t}] = 2 *", "coefficients[{t}] = 4 *", NORMS),
    ("kernel-group-overwritten", "values[{group}] += value;", "values[{group}] = value;", NORMS),
    ("kernel-softmax-not-shifted", "total += exp(u[first + k] - largest);", "total += exp(u[first + k]);", ENTROPY),
    ("kernel-softmax-stride", "long long first = i * classes;", "long long first = i * (classes - 1);", ENTROPY),
    ("kernel-multi-hot-not-shared", "T share = mass > 0 ? mass : (T)1;", "T share = 1;", ENTROPY),
    ("kernel-arrays-overlap", "f' - end{k - 1}' if k else ''", "f' - end{k - 1} * (i % 2)' if k else ''",
     ON_CPU + "test_arrays_one_after_the_other"),
    ("kernel-mask-one-step-late", "left = (U)i + 1; left;", "left = (U)i + 2; left;", MASKS),
    ("kernel-mask-carry-lost", "(low + o.low < low)", "0", MASKS),
    ("kernel-mask-turned-round", ">= rate;\n        \"\"\"", "< rate;\n        \"\"\"", MASKS),
    ("kernel-adam-in-float", "theta -= rate * (m / (sqrt(v) + epsilon));",
     "theta -= rate * (m / ((float)sqrt(v) + epsilon));",
     ON_CPU + "test_the_kernel_of_adam_says_what_its_twin_says"),
    ("kernel-relu-loses-nan", "y = active && y <= 0 ? (T)0 : y;", "y = active && !(y > 0) ? (T)0 : y;", ELEMENTS),
    ("kernel-slope-at-zero", "dx = (x > 0 ? factor :", "dx = (x >= 0 ? factor :", ELEMENTS),
)

bugs(
    "ops/fused/dense_layer.py",
    ("rectifier-forgotten", "relu(y) if active", "(y + 0, relu(y)[1]) if active", LAYER_BY_ENTRY),
    ("rectifier-not-differentiated", "dy if cache.relu is None else relu_backward(dy, cache.relu)", "1 * dy",
     LAYER_BY_ENTRY),
    ("rectifier-in-place-forgotten", "np.maximum(y, 0, out=y) if active", "np.absolute(y) if active",
     LAYER_BY_ENTRY),
    ("rectifier-in-place-not-differentiated", "keep_where(y > 0, dy) if active", "1 * dy if active", LAYER_BY_ENTRY),
    ("all-bits-of-the-rest", "bits &= dy.view(bits.dtype)", "bits |= dy.view(bits.dtype)",
     TWINS + "test_what_is_kept_is_kept_bit_by_bit"),
    ("large-layer-gates-nothing", "dy = get_xp(dy).where(y > 0, dy, 0) if active else dy", "dy = 1 * dy", LAYER_OF_ANY),
    ("large-layer-db-a-mean", "kernels.column_sum_kernel(dy)", "kernels.column_sum_kernel(dy) / len(dy)", LAYER_OF_ANY),
)
bugs(
    "ops/fused/on_device.py",
    ("bias-subtracted", "y += b", "y -= b", ON_CPU + "test_a_convolution_is_the_plain_one"),
    ("dw-not-transposed", "(columns.T @ rows)", "(columns[::-1].T @ rows)",
     ON_CPU + "test_a_convolution_is_the_plain_one"),
    ("pool-by-another-factor", "return max_pool(x, factor)\n", "return max_pool(-x, factor)\n",
     "gradcheck:fused/max_pool_on_device"),
    ("pool-hands-dy-twice", "return max_pool_backward(dy, cache)", "return 2 * max_pool_backward(dy, cache)",
     "gradcheck:fused/max_pool_on_device"),
)
bugs(
    "ops/fused/softmax_rows.py",
    ("not-a-mean", "reduction_factor(reduction, u.shape[0])", "1.0", ENTROPY),
    ("upstream-ignored", "return cache.du * dloss", "return cache.du + 0", ENTROPY),
)
bugs(
    "ops/fused/norm_terms.py",
    ("weight-counted-as-scale", "values[term.group] + term.scale * value", "values[term.group] + term.weight * value",
     NORMS),
    ("gap-not-differentiated", "return gap * gap, 2 * gap * inverse", "return gap * gap, gap * inverse",
     "gradcheck:fused/norm_terms/gap-square"),
    ("root-without-its-norm", "return root, inverse", "return root, 2 * inverse", "gradcheck:fused/norm_terms/root"),
    ("upstream-ignored", "(t.x - t.y) * (dl * c)", "(t.x - t.y) * c", "upstream:fused/norm_terms/square"),
)
FUSED_TOTAL = "cmirnet/test_fused_total.py::test_values_and_gradients_of_every_reading"
bugs(
    "cmirnet/fused_total.py",
    ("fused-alignment-of-a-alone", 'd["v_b"] - dv', 'd["v_b"] + dv', FUSED_TOTAL),
    ("fused-targets-swapped", "(z[1], z[0]) if r.decoder_target", "(z[0], z[1]) if r.decoder_target", FUSED_TOTAL),
    ("fused-decay-regularised", 'NormTerm("head_decay", w, weight=r.head_decay)',
     'NormTerm("head_decay", w, weight=weights.regulariser)', FUSED_TOTAL),
    ("fused-flow-stopped", "z_a, z_b = -from_b, -from_a", "z_a, z_b = 0 * from_b, -from_a", FUSED_TOTAL),
)

LOOP = "training/test_loop.py::"
bugs(
    "training/loop.py",
    ("what-fades-stays", "vector *= abs(vector) > FADED", "vector *= 1",
     LOOP + "test_what_fades_becomes_zero_before_it_is_subnormal"),
    ("momentum-turned-round", "MOMENTUM * buffers.flat + (1 - MOMENTUM) *",
     "(1 - MOMENTUM) * buffers.flat + MOMENTUM *",
     LOOP + "test_running_statistics_follow_the_batches_and_are_never_optimised", "batch_norm=train"),
    ("biases-decay", "decay if a.ndim > 1 else 0.0", "decay if a.ndim > 0 else 0.0",
     LOOP + "test_decay_acts_on_matrices_alone", "stage1.weight_decay", "stage2.weight_decay"),
    ("mean-of-no-epoch-before", "a = min(share, state.epoch / (state.epoch + 1))", "a = 0.0",
     LOOP + "test_any_settings_together_are_the_textbook_s", "stage1.average", "stage2.average"),
    ("mean-from-the-first-weights", "a = min(share, state.epoch / (state.epoch + 1))", "a = share",
     LOOP + "test_any_settings_together_are_the_textbook_s", "stage1.average", "stage2.average"),
    ("mean-of-weights-alone", "(state.mean_buffers, state.buffers)):", "):",
     LOOP + "test_any_settings_together_are_the_textbook_s", "stage1.average", "stage2.average"),
    ("worst-is-best", 'validation["score"] >= state.best_score',
     'validation["score"] <= state.best_score or state.epoch == 0',
     LOOP + "test_the_best_epoch_is_kept", "stage1.keep=best", "stage2.keep=best"),
    ("first-of-equals", 'validation["score"] >= state.best_score', 'validation["score"] > state.best_score',
     LOOP + "test_the_later_of_two_equal_epochs_is_kept", "stage1.keep=best", "stage2.keep=best"),
    ("last-ignored", 'schedule.keep == "last" or ', "", LOOP + "test_the_last_epoch_is_kept_where_asked",
     "stage1.keep=last", "stage2.keep=last"),
    ("best-is-a-view", "best_params=Params(state.mean_params)", "best_params=state.mean_params",
     LOOP + "test_the_best_epoch_is_kept"),
    ("schedule-begins-each-epoch", "step = state.epoch * task.steps_per_epoch + done", "step = done",
     LOOP + "test_a_schedule_runs_over_all_steps"),
    ("steps-counted-anew", "adam_numbers(step + 1, lr), state.epoch", "adam_numbers(done + 1, lr), state.epoch",
     LOOP + "test_the_steps_of_adam_are_counted_over_all_epochs"),
    ("moments-of-a-turn-lost", "theta[entries], m[entries], v[entries] = part", "theta[entries] = part[0]",
     LOOP + "test_each_turn_has_the_moments_of_its_parameters", "update=alternating"),
    ("everything-moves-in-each-turn", "name.startswith(prefixes)", "bool(prefixes)",
     LOOP + "test_parameters_move_in_turn", "update=alternating"),
    ("gradient-taken-once",
     "for entries in optimiser.turns:\n        parts, grads, statistics = task.gradients(params, buffers, batch, "
     "epoch, step)\n",
     "parts, grads, statistics = task.gradients(params, buffers, batch, epoch, step)\n"
     "    for entries in optimiser.turns:\n",
     LOOP + "test_parameters_move_in_turn", "update=alternating"),
    ("setting-without-its-stage", "smaller {task.lr_setting}", "smaller lr",
     LOOP + "test_a_loss_that_is_not_finite_is_an_error_that_says_where"),
)

GRAPH = "strict/test_graph.py::"
REPLAYED = GRAPH + "test_training_by_graphs_is_training_to_the_bit[default-2]"
bugs(
    "training/loop.py",
    ("numbers-of-adam-captured",
     "optimiser.graphs(partial(one_step, task, state, optimiser), (batch, optimiser.numbers[step]))",
     "optimiser.graphs(lambda batch: one_step(task, state, optimiser, batch, adam_numbers(step + 1, lr)), (batch,))",
     REPLAYED),
    ("numbers-of-the-step-before", "optimiser.numbers[step]", "optimiser.numbers[max(step - 1, 0)]", REPLAYED),
    ("rate-of-the-first-step-in-the-table", "adam_numbers(step + 1, _rate(task, step))",
     "adam_numbers(step + 1, _rate(task, 0))", REPLAYED),
    ("table-without-correction", "adam_numbers(step + 1, _rate(", "adam_numbers(step + 2, _rate(", REPLAYED),
)
bugs(
    "training/graph.py",
    ("an-input-never-filled-again", "zip(leaves(fixed), arrays, strict=True)",
     "list(zip(leaves(fixed), arrays, strict=True))[1:]", REPLAYED),
    ("labels-never-filled-again", "zip(leaves(fixed), arrays, strict=True)",
     "[pair for pair in zip(leaves(fixed), arrays, strict=True) if pair[0].dtype.kind == 'f']", REPLAYED),
    ("the-batch-itself-captured", "capture(lambda: work(*fixed), self.xp)", "capture(lambda: work(*inputs), self.xp)",
     REPLAYED),
    ("graph-for-any-size", "(array.shape, str(array.dtype)) for", "(array.shape[1:], str(array.dtype)) for",
     GRAPH + "test_a_step_is_plain_then_captured_then_replayed_for_each_shape"),
    ("captured-and-not-launched", "        graph.launch()\n", "", REPLAYED),
    ("captured-anew-each-time", "if self.graphs[kind] is None:", "if True:",
     GRAPH + "test_a_step_is_plain_then_captured_then_replayed_for_each_shape"),
    ("captured-before-its-kernels-are-there", "self.graphs[kind] = None\n            return work(*inputs)",
     "self.graphs[kind] = None", GRAPH + "test_a_step_is_plain_then_captured_then_replayed_for_each_shape"),
    ("a-graph-for-every-shape", "len(self.graphs) == KINDS", "len(self.graphs) == 2 * KINDS",
     GRAPH + "test_there_are_graphs_for_a_few_shapes_alone"),
    ("tried-again-and-again", "self.works = False", "pass",
     GRAPH + "test_a_wait_an_upload_a_product_and_addresses_are_not_captured"),
)
bugs(
    "backend.py",
    ("memory-of-the-graph-freed", "end_capture().launch, results, pool)", "end_capture().launch, results, None)",
     REPLAYED),
    ("memory-of-the-graph-is-everyone-s", "with xp.cuda.using_allocator(pool.malloc), stream:", "with stream:",
     REPLAYED),
    ("capture-on-a-stream-that-waits", "non_blocking=True", "non_blocking=False", REPLAYED),
    ("stream-left-capturing", "                stream.end_capture()\n", "                pass\n",
     GRAPH + "test_a_failed_capture_leaves_no_stream_that_captures_and_nothing_written"),
)

STAGES = "cmirnet/test_training_stages.py::"
bugs(
    "cmirnet/stage2.py",
    ("updates-swapped", 'if settings.update == "together"', 'if settings.update != "together"',
     STAGES + "test_together_moves_everything_at_once", "update=together", "update=alternating"),
    ("shared-head-belongs-to-nobody", '"classifier.", f"classifier_{m}."', 'f"classifier_{m}."',
     STAGES + "test_alternating_moves_one_branch_at_a_time", "update=alternating"),
    ("never-a-graph", "graph=schedule.graph", "graph=False", REPLAYED, "stage2.graph"),
    ("joint-is-separate", '{} if settings.stages == "separate"', '{} if settings.stages != "end-to-end"',
     STAGES + "test_which_fronts_are_trained_along", "stages=joint"),
    ("fronts-always", '{} if settings.stages == "separate"', '{} if settings.stages == ""',
     STAGES + "test_which_fronts_are_trained_along", "stages=separate"),
    ("latent-masks-of-the-other-rate", "(settings.d_v, network.arch.dropout)", "(settings.d_v, 0.0)",
     STAGES + "test_dropout_of_stage_2_is_drawn_anew", "stage1.dropout"),
    ("latent-mask-never-redrawn", 'generator(seed, "stage2/dropout", epoch)', 'generator(seed, "stage2/dropout", 0)',
     STAGES + "test_dropout_of_stage_2_is_drawn_anew", "latent_dropout=both"),
    ("same-features-dropped", 'generator(seed, "stage2/features", epoch)', 'generator(seed, "stage2/features", 0)',
     STAGES + "test_dropped_features_are_input_and_target_and_are_drawn_anew", "stage2.feature_dropout"),
)

bugs(
    "cmirnet/stage1.py",
    ("never-dropped", "[(settings.d_z, schedule.dropout)]", "[(settings.d_z, 0.0)]",
     STAGES + "test_dropout_of_stage_1_is_drawn_anew", "stage1.dropout"),
    ("mask-never-redrawn", 'generator(settings.seed, f"{name}/dropout", epoch)',
     'generator(settings.seed, f"{name}/dropout", 0)',
     STAGES + "test_dropout_of_stage_1_is_drawn_anew", "stage1.dropout"),
    ("views-summed", "sum(parts) / len(outs)", "sum(parts)",
     STAGES + "test_averaged_views_do_not_depend_on_the_way_up",
     "stage1.average_views"),
    ("by-modality-turned-round", '"sigmoid" if labels.ndim == 2', '"sigmoid" if labels.ndim == 1',
     STAGES + "test_the_cross_entropy_of_a_modality", "label_loss=by-modality", "stage1.label_loss=by-modality"),
    ("largest-logit-last", "average_precision(-logits", "average_precision(logits",
     STAGES + "test_classification_scores"),
    ("lowest-logit-first", "logits.argmax(axis=1)", "logits.argmin(axis=1)", STAGES + "test_classification_scores"),
)

bugs(
    "training/inputs.py",
    ("one-unit-for-all-channels", "1e-7 * np.sqrt(second / count)", "1e-7 * np.sqrt(second.max() / count)",
     "training/test_inputs.py::test_each_channel_has_its_own_unit[0-1e-30]"),
    ("rounding-made-large", "std[std <= rounding] = 1.0", "std[std <= 0] = 1.0",
     "training/test_inputs.py::test_the_rounding_of_a_constant_channel_is_no_variance"),
    ("never-turned", "rng.integers(0, self.x.views, size)", "rng.integers(0, 1, size)",
     "training/test_inputs.py::test_all_symmetries_are_drawn_and_seeded", "trunk_views"),
    ("one-view-of-turned", "for k in range(1, self.x.views):", "for k in range(1, 1):",
     "training/test_inputs.py::test_every_view_of_turned_features_of_images_and_of_vectors", "trunk_views"),
    ("only-sounds-are-augmented", "if rng is None or augmentation is None:",
     'if rng is None or self.kind != "sound":',
     STAGES + "test_only_images_are_augmented", "stage1.augment"),
)
bugs(
    "training/transfer.py",
    ("turned-by-the-number-of-the-sample", "view.host * len(self) + host", "host * self.views + view.host",
     "training/test_inputs.py::test_each_sample_is_read_under_its_own_symmetry", "trunk_views"),
)

bugs(
    "training/inputs.py",
    ("keep-for-drop", "rng.random(shape) >= rate for name", "rng.random(shape) < rate for name",
     STAGES + "test_dropped_features_are_input_and_target_and_are_drawn_anew", "stage2.feature_dropout"),
)

TOGETHER = "cmirnet/test_many_training.py::"
bugs(
    "cmirnet/many_training.py",
    ("masks-never-redrawn", 'generator(config.seed, "stage2/dropout", epoch)',
     'generator(config.seed, "stage2/dropout", 0)',
     TOGETHER + "test_dropout_is_drawn_anew_for_each_modality_and_epoch"),
    ("same-mask-for-all", "dict(zip(names, keep, strict=True))", "dict.fromkeys(names, keep[0])",
     TOGETHER + "test_dropout_is_drawn_anew_for_each_modality_and_epoch"),
    ("features-of-many-never-dropped", "schedule.feature_dropout", "0",
     TOGETHER + "test_for_two_it_takes_the_steps_of_stage_2"),
    ("labels-of-other-places", "labels[rows.there]", "labels[: len(rows.there)]",
     TOGETHER + "test_rows_stay_together_and_come_once_an_epoch"),
    ("scores-of-what-was-trained-on", "to_device(validation, xp)", "to_device(train, xp)",
     TOGETHER + "test_three_learn_to_find_each_other"),
    ("always-of-a", "evaluate_direction(v[p], own", 'evaluate_direction(v["a"], own',
     TOGETHER + "test_three_learn_to_find_each_other"),
)

SETTINGS = "test_settings.py::test_changes_the_result"
bugs(
    "cmirnet/stage2.py",  # settings that never arrive
    ("d_v-set-in-vain", "d_v=settings.d_v", "d_v=6", SETTINGS + "[d_v]", "d_v"),
    ("encoder_depth-set-in-vain", "encoder_depth=settings.encoder_depth", "encoder_depth=2",
     SETTINGS + "[encoder_depth]", "encoder_depth"),
    ("decoder_depth-set-in-vain", "decoder_depth=settings.decoder_depth", "decoder_depth=2",
     SETTINGS + "[decoder_depth]", "decoder_depth"),
    ("encoder_activation-set-in-vain", "encoder_activation=settings.encoder_activation", 'encoder_activation="hidden"',
     SETTINGS + "[encoder_activation]", "encoder_activation=linear"),
    ("decoder_activation-set-in-vain", "decoder_activation=settings.decoder_activation", 'decoder_activation="hidden"',
     SETTINGS + "[decoder_activation]", "decoder_activation=linear"),
    ("latent_dropout-set-in-vain", "latent_dropout=settings.latent_dropout", 'latent_dropout="none"',
     SETTINGS + "[latent_dropout]", "latent_dropout=a"),
    ("label_loss-set-in-vain", "label_kind(settings.label_loss, y)", 'label_kind("by-modality", y)',
     SETTINGS + "[label_loss]", "label_loss=by-modality"),
    ("decoder_target-set-in-vain", "decoder_target=settings.decoder_target", 'decoder_target="cross"',
     SETTINGS + "[decoder_target]", "decoder_target=own"),
    ("target_gradient-set-in-vain", "target_gradient=settings.target_gradient", 'target_gradient="stop"',
     SETTINGS + "[target_gradient]", "target_gradient=flow"),
    ("frobenius-set-in-vain", "frobenius=settings.frobenius", 'frobenius="squared"',
     SETTINGS + "[frobenius]", "frobenius=unsquared"),
    ("reduction-set-in-vain", "reduction=settings.reduction", 'reduction="mean"',
     SETTINGS + "[reduction]", "reduction=sum"),
    ("alpha-set-in-vain", "alpha=settings.alpha", "alpha=0.5", SETTINGS + "[alpha]", "alpha"),
    ("alpha_reading-set-in-vain", "alpha_reading=settings.alpha_reading", 'alpha_reading="norm"',
     SETTINGS + "[alpha_reading]", "alpha_reading=released"),
    ("head_decay-set-in-vain", "head_decay=settings.head_decay", "head_decay=0.0",
     SETTINGS + "[head_decay]", "head_decay"),
    ("weights.alignment-set-in-vain", "Weights(**settings.weights.model_dump(exclude={\"contrastive\"}))", "Weights()",
     SETTINGS + "[weights.alignment]", "weights.alignment"),
    ("regularized_layers-set-in-vain", "settings.regularized_layers, contrast)", '"all", contrast)',
     SETTINGS + "[regularized_layers]", "regularized_layers=last"),
    ("weights.contrastive-set-in-vain", "Contrast(settings.weights.contrastive,", "Contrast(0.0,",
     SETTINGS + "[weights.contrastive]", "weights.contrastive"),
    ("temperature-set-in-vain", "settings.temperature)", "0.1)", SETTINGS + "[temperature]", "temperature"),
)

bugs(
    "cmirnet/stage1.py",
    ("orthogonality.before_relu-set-in-vain", "settings.orthogonality.model_dump()", "{}",
     SETTINGS + "[orthogonality.before_relu]", "orthogonality.before_relu"),
    ("stage1.hidden-set-in-vain", "hidden=settings.stage1.hidden", "hidden=()",
     SETTINGS + "[stage1.hidden]", "stage1.hidden"),
)

INPUTS = "training/test_inputs.py::"
bugs(
    "training/inputs.py",
    ("variance-for-deviation", "np.sqrt(np.maximum(second / count - mean * mean, 0))",
     "np.maximum(second / count - mean * mean, 0)", INPUTS + "test_each_way_to_normalise",
     "normalise_inputs=standardise", "normalise_features=standardise"),
    ("centred-by-nothing", "mean = first / count", "mean = 0 * first", INPUTS + "test_each_way_to_normalise",
     "normalise_inputs=centre"),
    ("unit-of-all-together", 'std.astype(kind), how == "unit")', "std.astype(kind), False)",
     INPUTS + "test_each_way_to_normalise", "normalise_features=unit"),
    ("scale-standardises", 'if how == "standardise":', 'if how != "centre":', INPUTS + "test_each_way_to_normalise",
     "normalise_features=scale"),
    ("scale-by-energy", "np.sqrt(second.sum() / (count * channels))", "second.sum() / (count * channels)",
     INPUTS + "test_each_way_to_normalise", "normalise_features=scale"),
    ("none-is-centre", 'if how != "none":', "if how:", INPUTS + "test_each_way_to_normalise",
     "normalise_inputs=none", "normalise_features=none"),
    ("same-order-each-epoch", 'generator(seed, f"{purpose}/order", epoch)',
     'generator(seed, f"{purpose}/order", 0)',
     INPUTS + "test_the_order_depends_on_seed_purpose_and_epoch_alone"),
)
bugs(
    "training/augment.py",
    ("mirrored-in-place", "out[rows] = view(images[rows])", "out[rows] = view(images[rows[:1]])",
     INPUTS + "test_symmetries_are_equally_likely_and_each_image_keeps_its_place", "stage1.augment"),
    ("edges-wrap-round", "(xp.arange(frames)[:, None] - later).clip(0, frames - 1)",
     "(xp.arange(frames)[:, None] - later) % frames", INPUTS + "test_a_shifted_sound_keeps_its_edges_and_its_place",
     "stage1.augment"),
)

SEEN = "training/test_see_again.py::test_"
LIGHT, CROPS, CUT = (("stage1." + name, "match." + name) for name in ("light", "crops", "cut_out"))
bugs(
    "training/augment.py",
    ("lit-without-its-gain", "images * get_xp(images).exp(gain)[:, None, None, None] + lifts", "images + lifts",
     SEEN + "each_image_is_lit_by_its_own_numbers", *LIGHT),
    ("lit-before-it-is-lifted-alike", "lift + rng.normal", "rng.normal",
     SEEN + "gains_and_lifts_vary_as_much_as_the_setting_says", *LIGHT),
    ("lit-by-another-image-s-numbers", "relight(images, numbers[:, 8],", "relight(images, numbers[::-1, 8],",
     SEEN + "an_image_is_turned_then_cropped_then_lit_then_cut", *LIGHT),
    ("lifts-of-channels-that-nobody-sees", "lifts[:, None, None, : images.shape[3]]", "lifts[:, None, None]",
     SEEN + "a_lift_is_of_the_channels_that_are_seen", *LIGHT),
    ("never-seen-again", 'if kind == "image" and looks.beyond_turns:', 'if kind == "picture" and looks.beyond_turns:',
     SEEN + "a_source_changes_what_is_normalised_and_nothing_but_images", *LIGHT, *CROPS, *CUT),
    ("sketches-seen-as-images", 'if kind == "image" and looks', 'if kind in ("image", "sketch") and looks',
     SEEN + "a_source_changes_what_is_normalised_and_nothing_but_images", *CROPS),
    ("parts-as-wide-as-they-are-high", "left, width).swapaxes(1, 2)", "left, height).swapaxes(1, 2)",
     SEEN + "a_part_is_blown_up_pixel_by_pixel", *CROPS),
    ("parts-from-the-top", "places = ((first + share * middle)", "places = ((0 * first + share * middle)",
     SEEN + "half_of_a_ramp_is_half_as_steep", *CROPS),
    ("parts-from-the-corners-of-pixels", '(xp.arange(height, dtype="float32") + 0.5) / height\n    places',
     '(xp.arange(height, dtype="float32") + 0.0) / height\n    places', SEEN + "all_of_an_image_is_the_image", *CROPS),
    ("dark-beyond-the-edge", "* height - 0.5).clip(0, height - 1)", "* height - 0.5)",
     SEEN + "a_part_is_blown_up_pixel_by_pixel", *CROPS),
    ("nearest-row", "weights = (1 - abs(places[", "weights = (1 - abs(places.round()[",
     SEEN + "half_of_a_ramp_is_half_as_steep", *CROPS),
    ("parts-over-the-edge", "rng.uniform(0, 1, (2, n)) * (1 - sides), sides", "rng.uniform(0, 1, (2, n)), sides",
     SEEN + "parts_have_every_size_shape_and_place", *CROPS),
    ("parts-of-half-the-shapes", "np.exp(rng.uniform(-0.15, 0.15, n))", "np.exp(rng.uniform(0, 0.15, n))",
     SEEN + "parts_have_every_size_shape_and_place", *CROPS),
    ("one-part-for-all", "share, stretch = rng.uniform(least, 1, n)",
     "share, stretch = np.full(n, rng.uniform(least, 1))",
     SEEN + "parts_have_every_size_shape_and_place", *CROPS),
    ("squares-of-twice-the-side", "side * (min(height, width) / 2)", "side * min(height, width)",
     SEEN + "a_square_is_cut_out_where_it_was_drawn", *CUT),
    ("squares-stretched-with-the-image", "(abs(x - right * width) < half)",
     "(abs(x - right * width) < side * width / 2)",
     SEEN + "a_square_is_cut_out_where_it_was_drawn", *CUT),
    ("a-bar-is-cut-out", "(abs(y - down * height) < half) & (abs", "(abs(y - down * height) < half) | (abs",
     SEEN + "a_square_is_cut_out_where_it_was_drawn", *CUT),
    ("cut-out-of-all", "side * (rng.random(n) < 0.5)", "side * (rng.random(n) < 1.5)",
     SEEN + "half_of_the_images_lose_a_square_anywhere", *CUT),
    ("gap-of-another-light", "return cut_squares(images, numbers[:, 5:8]) if looks.cut_out else images",
     "return relight(cut_squares(images, numbers[:, 5:8]), numbers[:, 8], numbers[:, 9:])",
     SEEN + "an_image_is_turned_then_cropped_then_lit_then_cut", *CUT),
    ("light-moves-with-the-crops", "draw_parts(n, looks.crops, rng) for n in sizes]",
     "draw_parts(n, looks.crops, rng) for n in sizes if looks.crops < 1 or not rng.random()]",
     SEEN + "what_one_setting_draws_no_other_changes", *CROPS),
)
SOFT = "training/test_soft_labels.py::test_"
MIX, SMOOTH = (("stage1." + name, "labels." + name) for name in ("mix_up", "label_smoothing"))
bugs(
    "training/soft_labels.py",
    ("smoothed-towards-nothing", "y + soft.label_smoothing * even", "y",
     SOFT + "smoothed_labels_by_their_formula", *SMOOTH),
    ("smoothed-on-top", "return (1 - soft.label_smoothing) * y + soft", "return y + soft",
     SOFT + "smoothed_labels_by_their_formula", *SMOOTH),
    ("answers-of-a-question-are-the-classes", 'multi_hot(labels, classes, "float32"), 0.5',
     'multi_hot(labels, classes, "float32"), 1 / classes', SOFT + "smoothed_labels_by_their_formula", *SMOOTH),
    ("a-label-for-the-unlabelled", "even = y.sum(axis=1, keepdims=True) / classes", "even = 1 / classes",
     SOFT + "smoothed_labels_by_their_formula", *SMOOTH),
    ("mixed-before-they-are-distributions",
     'y = target_distribution(labels, get_xp(labels).empty((len(labels), classes), dtype="float32"))',
     'y = multi_hot(labels, classes, "float32")',
     SOFT + "several_labels_are_a_distribution_before_they_are_mixed", *MIX),
    ("labels-hard-unless-smoothed", "if not (soft.mix_up or soft.label_smoothing):", "if not soft.label_smoothing:",
     SOFT + "several_labels_are_a_distribution_before_they_are_mixed", *MIX),
    ("share-of-the-partner", "return partner + share * (x - partner)", "return x + share * (x - partner)",
     SOFT + "each_sample_is_mixed_with_its_partner", *MIX),
    ("one-share-for-all", "rng.beta(strength, strength, n)]", "np.full(n, rng.beta(strength, strength))]",
     SOFT + "partners_are_a_permutation_and_shares_are_of_beta", *MIX),
    ("shares-evenly", "rng.beta(strength, strength, n)]", "rng.random(n)]",
     SOFT + "partners_are_a_permutation_and_shares_are_of_beta", *MIX),
    ("partners-drawn-twice", "np.stack([rng.permutation(n), rng", "np.stack([rng.integers(0, n, n), rng",
     SOFT + "partners_are_a_permutation_and_shares_are_of_beta", *MIX),
)
bugs(
    "cmirnet/stage1.py",
    ("labels-not-mixed-along", "mix_rows(labels[index.there], mix), mask", "labels[index.there], mask",
     SOFT + "samples_and_labels_of_a_batch_are_mixed_alike", "stage1.mix_up"),
    ("samples-not-mixed", "mix_rows(source.read(index, view), mix)", "source.read(index, view)",
     SOFT + "samples_and_labels_of_a_batch_are_mixed_alike", "stage1.mix_up"),
    ("mixed-alike-each-epoch", 'generator(settings.seed, f"{name}/mix", epoch)',
     'generator(settings.seed, f"{name}/mix", 0)',
     SOFT + "each_epoch_is_mixed_anew", "stage1.mix_up"),
)
TRUNK = "amfmn/test_amfmn_system.py::test_the_trunk_learns_labels_or_classes"
bugs(
    "amfmn/system.py",
    ("trunk-labels-not-mixed-along", "mix_rows(soft[index.there], mix)", "soft[index.there]",
     "training/test_soft_labels.py::test_the_trunk_of_amfmn_learns_from_mixed_images", "labels.mix_up"),
    ("trunk-scored-by-smoothed-labels", "y = labels[to_device(index, xp)]", "y = soft[to_device(index, xp)]",
     SOFT + "the_trunk_of_amfmn_learns_from_mixed_images", "labels.label_smoothing"),
    ("labels-for-classes", 'if settings.labels.target == "labels":', 'if settings.labels.target != "label":',
     TRUNK, "labels.target=classes"),
    ("classes-for-labels", 'if settings.labels.target == "labels":', 'if settings.labels.target == "label":',
     TRUNK, "labels.target=labels"),
)
bugs(
    "config.py",
    ("looks-without-augment", "if not looks.augment:", "if not looks:",
     SEEN + "a_look_that_no_image_would_have_is_refused", *CROPS),
    ("looks-of-a-frozen-part", 'trunk_training != "all":', 'trunk_training == "frozen":',
     SEEN + "a_look_that_no_image_would_have_is_refused", *CROPS),
)
AGAIN = "training/test_say_again.py::test_"
bugs(
    "training/inputs.py",
    ("voice-after-normalising", 'if self.kind == "voice" else', 'if self.kind == "sound" else',
     AGAIN + "a_voice_speaks_before_its_recording_is_normalised", "stage1.voices"),
    ("centred-alone", "return centred / (spread + (spread < 1e-6))", "return centred",
     AGAIN + "each_recording_is_normalised_by_itself", "normalise_sounds=recording"),
    ("decibels-of-energies", "10 ** (-QUIET_DB / 20)", "10 ** (-QUIET_DB / 10)",
     AGAIN + "each_recording_has_the_same_range_of_loudness", "normalise_sounds=level"),
    ("loudest-of-the-batch", "m.max(axis=tuple(range(1, x.ndim)), keepdims=True)", "m.max(keepdims=True)",
     AGAIN + "each_recording_has_the_same_range_of_loudness", "normalise_sounds=level"),
    ("silence-has-a-colour",
     ".astype(y.dtype)\n    return standardise_each(y -", " * 0.0 + 1\n    return standardise_each(y -",
     AGAIN + "each_band_has_mean_0_where_something_is_said", "normalise_sounds=bands"),
    ("one-mean-for-all-bands", "(y * spoken).sum(axis=1,", "(y * spoken).mean(axis=2)[..., None].sum(axis=1,",
     AGAIN + "each_band_has_mean_0_where_something_is_said", "normalise_sounds=bands"),
    ("floor-left-in", "m = (xp.exp(x) - floor).clip(0, None)", "m = xp.exp(x)",
     AGAIN + "each_recording_has_the_same_range_of_loudness", "normalise_sounds=level"),
)
bugs(
    "training/augment.py",
    ("tempo-turned-round", '- number["later"]) * number["tempo"]', '- number["later"]) / number["tempo"]',
     AGAIN + "a_faster_voice_is_done_sooner", "stage1.voices"),
    ("throat-before-pitch", '((band - number["higher"]) * number["throat"])', '(band - number["higher"])',
     AGAIN + "a_throat_stretches_the_bands", "stage1.voices"),
    ("echo-answers-itself", "xp.where(age > 0, number", "xp.where(age >= 0, number", AGAIN + "an_echo_by_its_sum",
     "stage1.voices"),
    ("echo-of-magnitudes", "energy, age = m * m,", "energy, age = m,", AGAIN + "the_same_voice_says_the_same"),
    ("energies-for-magnitudes", "10 ** (gain / 10)", "10 ** (gain / 20)",
     AGAIN + "loudness_and_colour_are_relative_level_of_magnitudes", "stage1.voices"),
    ("noise-adds-its-magnitude", "heard + noise * abs(noise) * heard", "heard + noise * heard",
     AGAIN + "noise_adds_its_energy_and_can_be_taken_away", "stage1.voices"),
    ("taken-away-is-added", "noise * abs(noise)", "noise * noise",
     AGAIN + "noise_adds_its_energy_and_can_be_taken_away", "stage1.voices"),
    ("upper-bands-carried", '(band < number["bands"])', '(band > -number["bands"])',
     AGAIN + "a_telephone_carries_the_lower_bands", "stage1.voices"),
    ("gaps-of-silence", "xp.where(gap, mean, said)", "xp.where(gap, xp.log(floor), said)", AGAIN + "gaps_hold_the_mean",
     "stage1.voices"),
    ("one-voice-for-all", 'np.exp(rng.uniform(-0.25, 0.25, n))', 'np.exp(np.full(n, rng.uniform(-0.25, 0.25)))',
     AGAIN + "every_number_is_drawn_anew_for_every_recording", "stage1.voices"),
)
bugs(
    "cmirnet/system.py",
    ("recordings-by-the-set", '"recording": standardise_each', '"recording": normaliser(f"input.{m}", made)',
     SETTINGS + "[normalise_sounds]", "normalise_sounds=recording"),
    ("recordings-each-by-itself", '{"set": normaliser(f"input.{m}", made)', '{"set": standardise_each',
     SETTINGS + "[normalise_sounds]", "normalise_sounds=set"),
    ("levels-unread", '"level": partial(level_each', '"level": partial(level_bands',
     SETTINGS + "[normalise_sounds]", "normalise_sounds=level"),
)
bugs(
    "cmirnet/stage1.py",
    ("tempos-unheard", "x in source.each_view(rows) if average_views", "x in source.each_view(rows) if False",
     AGAIN + "tempos_are_averaged", "stage1.average_tempos"),
    ("one-pass", "np.tile(train, schedule.sound_passes if", "np.tile(train, 1 if",
     AGAIN + "passes_over_the_recordings", "stage1.sound_passes"),
    ("images-as-often", 'schedule.sound_passes if source.kind in ("sound", "voice") else 1', "schedule.sound_passes",
     AGAIN + "passes_over_the_recordings", "stage1.sound_passes"),
)

# ---- photo and sketch with attention --------------------------------------------------------------------------------

GATE = "attention/test_gate.py::test_"
bugs(
    "attention/gate.py",
    ("gate-without-residual", "factor = 1 + a if residual else a", "factor = a if residual else 1 + a",
     GATE + "each_channel_is_weighed_by_the_sketch"),
    ("gate-twice", "return x * factor, ChannelGateCache", "return x * factor * factor, ChannelGateCache",
     GATE + "each_channel_is_weighed_by_the_sketch"),
    ("dx-without-residual", "return dy * cache.factor if", "return dy * cache.a if",
     "gradcheck:channel_gate/residual"),
    ("da-without-x", "sigmoid_backward(dy * cache.x, cache.sigmoid)", "sigmoid_backward(dy, cache.sigmoid)",
     "gradcheck:channel_gate/residual"),
    ("mask-without-residual", "factor = 1 + m if residual else m", "factor = m if residual else 1 + m",
     GATE + "each_place_is_weighed_by_the_same_place_of_the_sketch"),
    ("mask-of-the-photo", "u = y @ w + b", "u = y[::-1] @ w + b",
     GATE + "each_place_is_weighed_by_the_same_place_of_the_sketch"),
    ("mask-of-one-channel", "(dx * cache.x).sum(axis=2, keepdims=True)", "(dx * cache.x)[:, :, :1]",
     "gradcheck:spatial_mask/residual"),
    ("db-a-mean", "column_sum(rows)", "column_sum(rows) / rows.shape[0]", "gradcheck:spatial_mask/product"),
)

CROSS = "attention/test_cross_attention.py::test_each_place_adds_what_the_sketch_answers"
bugs(
    "attention/cross_attention.py",
    ("answers-alone", "return x + answers,", "return answers,", CROSS),
    ("keys-for-queries", "_by_place(x, w_q), _by_place(y, w_k)", "_by_place(x, w_k), _by_place(y, w_q)", CROSS),
    ("photo-asks-no-more", "dx = do + _by_place(dq, w_q.T) if", "dx = 1 * do if", "gradcheck:cross_attention"),
    ("sketch-answers-once", "dy = _by_place(dk, w_k.T) + _by_place(dv, w_v.T) if", "dy = _by_place(dv, w_v.T) if",
     "gradcheck:cross_attention"),
    ("places-of-another-sample", "reshape(*x.shape[:2], w.shape[1])",
     "reshape(*x.shape[1::-1], w.shape[1]).swapaxes(0, 1)", CROSS),
    ("values-weights-of-the-photo", "_summed(y, dv)", "_summed(x[:, :1] + 0 * y, dv)", "gradcheck:cross_attention"),
)

CAM = "attention/test_grad_cam.py::test_"
EVIDENCE = "attention/test_attention_system.py::test_the_evidence_is_that_of_the_network_which_embeds["
bugs(
    "attention/grad_cam.py",
    ("gate-forgotten", "z * factor, depth", "z, depth", CAM + "what_follows_a_map"),
    ("encoder-of-the-photo", 'f"encoder_{m}"', '"encoder_a"', CAM + "what_follows_a_map"),
    ("gate-not-differentiated", "dgated * cache.scale", "dgated", "gradcheck:class_scores/a"),
    ("features-of-any-length", "if features.unit:", "if False:", EVIDENCE + "changes6]"),
    ("features-with-their-mean", "z - features.shift", "z", EVIDENCE + "changes5]"),
    ("length-not-differentiated", "if cache.unit is not None:", "if False:", "gradcheck:class_scores/unit"),
    ("one-context-only", "for k in range(len(contexts))]", "for k in range(1)]", EVIDENCE + "changes3]"),
    ("not-masked-by-itself", '"ab".index(m)] for both', "0] for both", EVIDENCE + "changes4]"),
    ("each-context-whole", "cache.scale / len(cache.attended)", "cache.scale", "gradcheck:class_scores/spatial"),
    ("negative-evidence", "xp.maximum((x * dx", "xp.minimum((x * dx", CAM + "the_two_equations_of_the_paper"),
    ("place-by-place", "dx.mean(axis=1, keepdims=True)", "dx", CAM + "the_two_equations_of_the_paper"),
)

ATTENDED = "attention/test_attended_objective.py::test_"
bugs(
    "attention/objective.py",
    ("photo-gates-itself", 's = x_a if kind == "self" else context', "s = x_a",
     ATTENDED + "what_is_done_to_features_and_maps"),
    ("sketch-gates-the-photo", 's = x_a if kind == "self" else context', "s = context",
     ATTENDED + "what_is_done_to_features_and_maps"),
    ("sketchs-own-map-not-masked", "_read_maps(x_b, x_b,", "_read_maps(x_b, context,",
     ATTENDED + "what_is_done_to_features_and_maps"),
    ("head-of-the-photo", 'heads["b.1.w"], heads["b.1.b"]', 'heads["a.1.w"], heads["a.1.b"]',
     ATTENDED + "what_is_done_to_features_and_maps"),
    ("mask-without-the-sketchs-map", "add_parts([grads, grads_b])", "grads", "gradcheck:attend/mask"),
    ("own-mask-not-differentiated", "dx_b + dy_b", "dx_b + 0 * dy_b", "gradcheck:attend/mask"),
    ("own-gate-not-differentiated", "dx, dcontext = dx + dcontext, None",
     "dx, dcontext = dx + 0 * dcontext, None",
     "gradcheck:attend/self"),
    ("dropout-in-inference", 'if feature_dropout and mode == "train":', "if feature_dropout:",
     ATTENDED + "cmir_nets_losses_of_the_attended_features"),
    ("one-mask-for-both", 'zip(z, ("z_a", "z_b"), strict=True)]\n        z, dropped',
     'zip(z, ("z_a", "z_a"), strict=True)]\n        z, dropped',
     ATTENDED + "cmir_nets_losses_of_the_attended_features"),
    ("dropout-not-differentiated", "d if c is None else dropout_backward(d, c)", "d + 0",
     "gradcheck:attended_objective/dropout"),
    ("gate-not-learned", "return grads | gate, dx", "return grads | {n: 0 * g for n, g in gate.items()}, dx",
     "gradcheck:attended_objective/channel"),
)

IN_WAYS = "attention/test_attention_system.py::test_"
bugs(
    "attention/inference.py",
    ("mean-of-one-gate", "residual=net.form.residual)[0].mean(axis=0)", "residual=net.form.residual)[0][0]",
     IN_WAYS + "the_mean_gate_is_cmir_net_with_a_scaled_first_matrix"),
    ("mean-is-not-attended", "x * mean_gate(net, contexts)", "x + 0 * mean_gate(net, contexts)",
     IN_WAYS + "the_mean_gate_is_cmir_net_with_a_scaled_first_matrix"),
    ("first-sketch-attends-all", 'own["context"][i : i + 1]', 'own["context"][:1]',
     IN_WAYS + "pairs_are_what_each_pair_alone_gives"),
    ("first-photo-for-all", 'own["x"][i : i + 1]', 'own["x"][:1]', IN_WAYS + "pairs_are_what_each_pair_alone_gives"),
    ("rows-of-pairs-turned-round", "out[i - numbers[0]] =", "out[numbers[-1] - i] =",
     IN_WAYS + "pairs_are_what_each_pair_alone_gives"),
)
bugs(
    "attention/system.py",
    ("photos-shared-whatever-the-classes", '{"sketches"} if settings.classes else set()', '{"sketches"}',
     IN_WAYS + "every_setting_has_its_stages"),
    ("drawings-learned-as-edges", '"b": set()}', '"b": {"sketches"}}', IN_WAYS + "every_setting_has_its_stages"),
)
bugs(
    "attention/stage2.py",
    ("epoch-chosen-by-photos-own-sketches", "items[q], apart), xp)", "items[q]), xp)",
     "attention/test_attention_system.py::test_the_epoch_is_chosen_without_a_photos_own_sketch"),
    ("a-photo-attended-by-its-own-sketch", "parts.train[\"b\"], others, own)", "parts.train[\"b\"], others, set())",
     "attention/test_attention_system.py::test_no_photo_is_attended_by_what_was_traced_from_it"),
    ("never-a-graph-with-an-attention", "graph=schedule.graph", "graph=False",
     GRAPH + "test_stage_2_of_photos_and_sketches_is_replayed_or_one_line_says_why_not[none]", "stage2.graph"),
)
bugs(
    "replicate/attention/attended.py",
    ("posteriors-find-a-photo-s-own-sketch", "evaluate_direction(p[a], y[a], p[b], y[b], exclude=own)",
     "evaluate_direction(p[a], y[a], p[b], y[b])",
     "replicate/attention/test_attended.py::test_posteriors_find_no_photo_by_what_was_traced_from_it"),
)

# ---- retrieval ------------------------------------------------------------------------------------------------------

DISTANCES = "retrieval/test_distances.py::"
bugs(
    "retrieval/distances.py",
    ("one-far-item", "max(float(xp.median(squares)), FAR * float(squares.max()))", "float(squares.max())",
     DISTANCES + "test_far_items_and_offsets_leave_the_ranking_of_all_others", "prepare"),
    ("rounding-told-apart", "(ROUNDING * last_bit) ** 2 * size", "0.0 * size",
     DISTANCES + "test_embeddings_that_differ_in_their_last_bits_tie_and_others_do_not", "prepare"),
    ("one-offset", "squares = xp.concatenate([query_length, side.length]) ** 2",
     "squares = (xp.concatenate([query, side.vectors]) ** 2).sum(axis=1)",
     DISTANCES + "test_far_items_and_offsets_leave_the_ranking_of_all_others", "prepare"),
    ("far-items-shift-the-mean", "length <= FEW_FAR * ", "length <= math.inf * ",
     DISTANCES + "test_one_far_item_of_few_shifts_no_unit", "prepare"),
    ("last-bits-of-one-point", "ROUNDING / 2 * last_bit * math", "0 * math",
     "retrieval/test_metrics.py::test_a_gallery_of_one_point_up_to_its_last_bit_scores_exactly_chance"),
    ("far-items-in-32-bits", "and space.highest < 2**31 - 2", "",
     DISTANCES + "test_far_items_tie_where_their_distance_is_lost_in_the_unit", "levels"),
    ("far-items-by-the-product", "reach = space.query_length[rows, None] + space.gallery_length[part]", "reach = 0",
     DISTANCES + "test_levels_of_far_items_are_the_direct_ones", "levels"),
    ("coarse-levels", "EUCLIDEAN_STEP = 1e-7", "EUCLIDEAN_STEP = 1e-5",
     DISTANCES + "test_two_points_closer_than_half_a_level_tie_and_two_levels_apart_do_not", "distance=euclidean",
     "prepare"),
    ("product-once", "q * (-2 / unit)", "q * (-1 / unit)",
     DISTANCES + "test_squared_distances_are_the_direct_ones_rounded", "distance=euclidean", "squared_distances"),
    ("each-centred-for-itself", "space.query - space.centre, space.gallery - space.centre",
     "space.query - space.query.mean(axis=0), space.gallery - space.centre",
     DISTANCES + "test_squared_distances_are_the_direct_ones_rounded", "prepare"),
    ("doubtful-never-summed", "> 0.5 - error)", "> 0.5)",
     DISTANCES + "test_values_on_the_edge_of_a_level_do_not_depend_on_blocks_or_on_the_order_of_the_gallery", "levels"),
    ("tile-twice", "part = slice(start, start + width)", "part = slice(0, width)",
     DISTANCES + "test_tiles_of_the_gallery_do_not_change_levels", "levels"),
    ("released-ignored", 'if space.kind == "released":\n        return level',
     'if space.kind == "":\n        return level',
     DISTANCES + "test_released_distance_is_the_modulus_of_the_matlab_expression", "distance=released",
     "distance_of"),
    ("powers-of-two", "above += up * xp.sqrt(up)", "above += up * up",
     DISTANCES + "test_released_distance_is_the_modulus_of_the_matlab_expression", "distance=released"),
    ("signs-cancel", "return xp.sqrt(xp.sqrt(above * above + below * below))",
     "return xp.sqrt(xp.sqrt((above - below) * (above - below)))",
     DISTANCES + "test_released_distance_is_the_modulus_of_the_matlab_expression", "distance=released"),
    ("squares-for-distances", "xp.sqrt(level * space.unit) * space.scale", "level * space.unit * space.scale",
     "retrieval/test_neighbours.py::test_distances_are_in_the_units_of_the_embeddings", "distance_of", "nearest"),
    ("scaled-once", "space.unit * space.scale * space.scale", "space.unit * space.scale",
     DISTANCES + "test_squared_distances_are_the_direct_ones_rounded", "squared_distances"),
    ("centred-before-the-angle", "largest = xp.abs(v).max(axis=1",
     "v = v - v.mean(axis=0)\n    largest = xp.abs(v).max(axis=1",
     DISTANCES + "test_cosine_is_the_angle_at_the_origin", "distance=cosine", "prepare"),
    ("zeros-everywhere-near", "[unit, largest == 0]", "[unit, 0 * largest]",
     DISTANCES + "test_cosine_is_the_angle_at_the_origin", "distance=cosine", "prepare"),
    ("angle-for-length", 'if kind == "cosine":', 'if kind == "":',
     DISTANCES + "test_cosine_does_not_see_length", "distance=cosine", "prepare"),
    ("half-finite-accepted", "(~xp.isfinite(v).all(axis=1))", "(~xp.isfinite(v).any(axis=1))",
     DISTANCES + "test_bad_embeddings_are_refused_in_one_line",
     "prepare"),
)

METRICS = "retrieval/test_metrics.py::"
HAND = METRICS + "test_rankings_worked_by_hand"
SEVERAL = "retrieval/test_several_excluded.py::test_"
EXCLUDED = METRICS + "test_an_excluded_item_might_as_well_not_be_there"
TENS = METRICS + "test_mean_precision_at_tens_is_what_the_matlab_does_with_a_stable_sort"
BY_CHANCE = METRICS + "test_chance_is_the_mean_over_all_orders"
RELEVANCE = METRICS + "test_relevance_is_the_same_class_or_a_shared_label_in_any_mix"
LOOPS = METRICS + "test_evaluate_direction_is_the_mean_of_loops_over_queries"
bugs(
    "retrieval/ties.py",
    ("rank-off-by-one", "first[new] % items", "first[new] % items - 1", HAND, "average_precision", "tie_groups"),
    ("no-ties", "xp.equal(packed[:, 1:], packed[:, :-1], out=same)", "same[...] = False",
     METRICS + "test_ties_take_their_expected_value_over_all_orders", "ties", "tie_groups"),
    ("found-before-forgotten", "new - (xp.cumsum(total) - total)[row]", "0 * new", HAND, "average_precision"),
    ("found-in-other-rows", "new - (xp.cumsum(total) - total)[row]", "1 * new",
     METRICS + "test_untied_rankings_agree_with_a_loop_and_perfect_ones_score_exactly_one", "average_precision"),
    ("farthest-first", "order = xp.argsort(distances, axis=1)", "order = xp.argsort(-distances, axis=1)", HAND,
     "average_precision", "tie_groups"),
    ("itself-found", "packed[own] = 2 * high + 3", "packed[own] |= 1", EXCLUDED,
     "average_precision", "precision_at_k"),
    ("itself-counted", "relevant[own] = xp.inf, False", "relevant[own] = xp.inf, True",
     EXCLUDED, "average_precision", "precision_at_k"),
    ("itself-a-place", "usable = xp.full(queries, items) if exclude is None else items - (exclude >= 0).sum(axis=1)",
     "usable = xp.full(queries, items)", EXCLUDED, "precision_at_k", "tie_groups"),
    ("several-take-one-place", "items - (exclude >= 0).sum(axis=1)", "items - (exclude >= 0).any(axis=1)",
     SEVERAL + "metrics_are_those_of_what_is_left_under_all_orders_of_ties", "precision_at_k", "tie_groups"),
)

bugs(
    "retrieval/metrics.py",
    ("recall-of-a-class-is-that-of-all", "of_partners, mask & found, count=False)", "of_partners, found, count=False)",
     "retrieval/test_any_distances.py::test_recalls_of_partners_beside_the_precision_of_labels"),
    ("rank-from-zero", "1 / (above + 1), difference", "1 / xp.maximum(above, 1), difference", HAND,
     "average_precision"),
    ("rank-at-the-end-of-the-tie", "harmonic[above + size] - harmonic[above]", "size / (above + size)",
     METRICS + "test_ties_take_their_expected_value_over_all_orders", "average_precision", "ties"),
    ("ties-by-prevalence", "(relevant - 1) / xp.maximum(size - 1, 1)", "relevant / size",
     METRICS + "test_ties_take_their_expected_value_over_all_orders", "average_precision", "ties"),
    ("mean-over-found-plus-one", "total / xp.maximum(relevant, 1)", "total / (relevant + 1)", HAND,
     "average_precision"),
    ("unanswerable-is-zero", "xp.where(relevant > 0, total / xp.maximum(relevant, 1), xp.nan)",
     "total / xp.maximum(relevant, 1)", METRICS + "test_a_query_without_relevant_items_is_nan_everywhere",
     "average_precision"),
    ("k-beyond-the-gallery", "k = xp.minimum(k, groups.items)", "k = xp.full(groups.items.shape, k)",
     METRICS + "test_ties_take_their_expected_value_over_all_orders", "precision_at_k"),
    ("k-minus-one", "xp.clip(k[groups.row] - groups.above, 0, groups.size)",
     "xp.clip(k[groups.row] - groups.above - 1, 0, groups.size)", HAND, "precision_at_k"),
    ("whole-ties", "places = xp.clip(k[groups.row] - groups.above, 0, groups.size)",
     "places = xp.where(k[groups.row] > groups.above, groups.size, 0)", HAND, "precision_at_k", "ties"),
    ("recall-for-precision", "hits / xp.maximum(k, 1), xp.nan", "hits / xp.maximum(groups.total, 1), xp.nan", HAND,
     "precision_at_k"),
    ("expected-for-index", 'if ties == "expected":\n        return', 'if ties == "index":\n        return', TENS,
     "mean_precision_at_tens", "ties"),
    ("one-cutoff-more", "range(1, cutoffs + 1)) / cutoffs", "range(1, cutoffs + 2)) / cutoffs",
     METRICS + "test_mean_precision_at_tens_takes_expected_ties_where_asked", "mean_precision_at_tens"),
    ("ones-for-tens", "10 * xp.arange(1, cutoffs + 1)", "xp.arange(1, cutoffs + 1)", TENS, "mean_precision_at_tens"),
    ("hits-of-the-next", "xp.maximum(k - 1, 0), axis=1)", "xp.minimum(k, hits.shape[1] - 1), axis=1)", TENS,
     "mean_precision_at_tens"),
    ("tens-find-the-query", "level[own], relevant[own] = top, False", "relevant[own] = False", EXCLUDED,
     "mean_precision_at_tens"),
    ("no-room-above-all-others", 'level.dtype if room else "int64"', "level.dtype",
     SEVERAL + "an_excluded_item_at_the_top_of_its_type_leaves_room", "mean_precision_at_tens"),
    ("most-of-the-whole-gallery", "xp.minimum(relevant[:, None], k) / xp.maximum(k, 1)",
     "relevant[:, None] / xp.maximum(k, 1)", LOOPS, "most_precision"),
    ("most-beyond-the-gallery", "k = xp.minimum(xp.asarray(ks)[None, :], xp.broadcast_to(xp.asarray(items), "
     "relevant.shape)[:, None])", "k = xp.asarray(ks)[None, :] + 0 * relevant[:, None]",
     METRICS + "test_the_most_that_precision_can_be", "most_precision"),
    ("prevalence-for-chance", "_mean_over_relevant(_gain(none, items, none, relevant, int(items.max())), relevant)",
     "xp.where(relevant > 0, relevant / items, xp.nan)", BY_CHANCE, "chance"),
    ("chance-without-its-query", "relevant > 0, relevant / items, xp.nan",
     "relevant > 0, relevant / (items - 1), xp.nan",
     BY_CHANCE, "chance"),
    ("two-shared-labels", "xp.float32(0.5)", "xp.float32(1.5)", RELEVANCE, "relevance"),
    ("other-class", "query[:, None] == gallery[None, :]", "query[:, None] != gallery[None, :]", RELEVANCE, "relevance"),
    ("directions-swapped", "lambda rows: relevance_of_checked(query_labels[rows], gallery_labels)",
     "lambda rows: relevance_of_checked(gallery_labels, query_labels[rows]).T[::-1]", LOOPS, "evaluate_direction"),
    ("exclusion-lost", "excluded = None if exclude is None else exclude[rows]", "excluded = None", LOOPS,
     "evaluate_direction"),
    ("euclidean-whatever", "space = prepare(query, gallery, distance)", "space = prepare(query, gallery)",
     METRICS + "test_the_distance_matters", "evaluate_direction", "distance=released"),
    ("classes-of-others", "(labels == c) & averaged", "(labels != c) & averaged", LOOPS, "evaluate_direction"),
    ("unanswerable-queries-averaged", "averaged = np.isfinite(figures[0])", "averaged = xp.isfinite(figures[0]) | True",
     METRICS + "test_queries_without_relevant_items_are_counted_and_kept_out", "evaluate_direction"),
)

NEIGHBOURS = "retrieval/test_neighbours.py::"
SIEVE = "retrieval/test_neighbours.py::test_the_sieve_"
bugs(
    "retrieval/sieve.py",
    ("rounding-forgotten", "2 * error + space.unit", "space.unit",
     SIEVE + "changes_nothing[far from the origin-10-True]", "nearest"),
    ("one-too-few", "k - 1, axis=1)[:, k - 1]", "k - 1, axis=1)[:, k - 2]",
     SIEVE + "changes_nothing[far from the origin-10-False]", "nearest"),
    ("members-first", "g[chosen] * GROUP + member", "member * (TILE // GROUP) + g[chosen]",
     SIEVE + "changes_nothing[tight clusters-10-False]", "nearest"),
    ("padding-is-near", "rows[items:, -1] = xp.inf", "rows[items:, -1] = 0",
     SIEVE + "changes_nothing[far from the origin-10-True]", "nearest"),
    ("everything-passes", "again <= bound[r, None]", "again < xp.inf",
     SIEVE + "leaves_few", "nearest"),
    ("never-gives-up", "if len(row) <= minima.size * GROUP // 64 else None", "if True else None",
     SIEVE + "gives_up_where_nothing_is_gained", "nearest"),
    ("one-part-of-all", "r, g = row[start : start + step], group[start : start + step]",
     "r, g = row[:step], group[:step]",
     "retrieval/test_neighbours.py::test_groups_computed_again_in_parts_are_those_of_one", "nearest"),
)

FAISS = "retrieval/test_faiss_index.py::test_"
bugs(
    "retrieval/neighbours.py",
    ("kept-by-another-distance",
     'as `nearest` does."""\n    side = gallery_side(gallery, distance)',
     'as `nearest` does."""\n    side = gallery_side(gallery, "euclidean")',
     "retrieval/test_neighbours.py::test_a_kept_gallery_gives_what_its_embeddings_give", "keep_gallery"),
)
bugs(
    "retrieval/faiss_index.py",
    ("level-alone", "2 * (dims + 4) * 2.0**-23 * longest * longest + space.unit", "space.unit",
     FAISS + "a_query_is_sure_where_its_last_candidate_is_beyond_the_rounding", "nearest"),
    ("always-sure", "(found[:, -1] > found[:, k - 1] + gap)", "(found[:, -1] > -1)",
     FAISS + "ties_at_the_edge_are_looked_up", "nearest"),
    ("each-centred-for-itself", "space.query - space.centre", "space.query - space.query.mean(axis=0)",
     FAISS + "the_exact_index_changes_nothing", "nearest"),
    ("any-distance", 'side.kind == "released" or', "", FAISS + "another_distance_is_refused", "nearest"),
)

bugs(
    "retrieval/neighbours.py",
    ("in-doubt-and-left-so", "    if len(rest):\n", "    if False:\n", FAISS + "ties_at_the_edge_are_looked_up",
     "nearest"),
    ("another-querys-exclusion", "None if exclude is None else exclude[rows]\n\n    few, rest",
     "None if exclude is None else exclude[: len(rows)]\n\n    few, rest",
     FAISS + "the_exact_index_changes_nothing", "nearest"),
    ("itself-found", "block[excluded_pairs(exclude)] = int(block.max()) + 1", "block += 0",
     NEIGHBOURS + "test_an_excluded_item_is_never_found", "nearest"),
    ("excluded-at-the-same-level", "= int(block.max()) + 1", "= int(block.max())",
     NEIGHBOURS + "test_an_excluded_item_is_never_found", "nearest"),
    ("last-of-equals", 'level.astype("int64") * items + xp.arange(items)',
     'level.astype("int64") * items + xp.arange(items)[::-1]',
     NEIGHBOURS + "test_nearest_is_brute_force_with_ties_in_gallery_order", "nearest", "ties"),
    ("runs-overlap", "minima * runs + xp.arange(runs)", "minima * runs - xp.arange(runs)",
     NEIGHBOURS + "test_identical_embeddings_come_in_gallery_order", "nearest", "ties"),
    ("not-sorted", "xp.sort(xp.partition(packed, k - 1, axis=1)[:, :k], axis=1)",
     "xp.partition(packed, k - 1, axis=1)[:, :k][:, ::-1]", NEIGHBOURS + "test_smallest_keeps_runs_whose_minima_tie",
     "nearest"),
    ("columns-beyond-the-last-run", "column = xp.concatenate([column, rest], axis=1)",
     "column = xp.concatenate([column, rest[:, :0]], axis=1)", NEIGHBOURS + "test_smallest_keeps_runs_whose_minima_tie",
     "nearest"),
    ("k-not-cut", "k = min(k, items - _most(exclude))", "k = min(k, items)",
     NEIGHBOURS + "test_k_is_cut_to_what_the_gallery_has", "nearest"),
    ("first-of-several-alone", "for place in range(_most(exclude)):", "for place in range(min(1, _most(exclude))):",
     SEVERAL + "the_sieve_is_right_about_several_by_any_distance", "nearest"),
    ("too-few-candidates", "candidates(parts, rows, k + _most(own))", "candidates(parts, rows, k + 1)",
     SEVERAL + "the_sieve_is_right_about_several_by_any_distance", "nearest"),
)

bugs(
    "attention/inference.py",
    ("mean-of-the-first-sketches", "[k * len(contexts) // count for k", "[k for k",
     "attention/test_attention_system.py::test_the_mean_attention_is_that_of_sketches_from_the_whole_part"),
)
bugs(
    "data/svg.py",
    ("clips-within-clips", "(nested := clips and layer and", "(nested := layer and not layer and",
     "data/test_svg.py::test_what_a_renderer_takes_for_ever_over"),
)
bugs(
    "data/scenarios.py",
    ("left-out-in-silence", "drawn._replace(remarks=drawn.remarks + left)", "drawn._replace(remarks=drawn.remarks)",
     "data/test_photo_sketch.py::test_photos_of_classes_that_the_world_does_not_draw_are_said"),
)
bugs(
    "data/pictures.py",
    ("nothing-but-no-data-counts", "if missing.all():", "if missing.all() and not missing.size:",
     "data/test_images.py::test_an_image_of_nothing_but_no_data_is_named"),
    ("dark-ink-on-its-own-colour", "others.max() if np.ptp(others, axis=0).any() else WHITE", "others.max()",
     "data/test_images.py::test_transparent_drawings_of_16_bits_are_on_white[4000]"),
    ("ink-on-the-brightest-ink", "max(initial=0) if on_a_map else WHITE", "max(initial=0)",
     "data/test_images.py::test_transparent_drawings_of_16_bits_are_on_white[4000]"),
    ("webp-is-damaged", "tags.get(COMPRESSION) == WEBP:", "False:",
     "data/test_images.py::test_tiff_files_of_webp_are_read_by_gdal"),
    ("upper-bytes-of-a-map", 'sum(again.getchannel("A")', 'sum(file.getchannel("A")',
     "data/test_images.py::test_what_is_transparent_on_a_map_is_no_brighter_than_the_rest"),
    ("no-data-of-a-map-is-white", "max(initial=0) if on_a_map else WHITE", "max(initial=0) if False else WHITE",
     "data/test_images.py::test_what_is_transparent_on_a_map_is_no_brighter_than_the_rest"),
)
bugs(
    "data/speech.py",
    ("accents-are-another-voice", 'unicodedata.normalize("NFC", path.stem)', "path.stem",
     "data/test_speech.py::test_a_voice_is_one_however_its_accents_are_written"),
)
A_PART_OF_THE_FILE = "data/test_tiles.py::test_a_tile_is_a_part_of_what_is_read_of_the_whole_file"
bugs(
    "data/tiles.py",
    ("tiles-on-their-side", "if turned or decoded_otherwise(file)", "if decoded_otherwise(file)", A_PART_OF_THE_FILE),
    ("a-palettes-numbers", 'file.colorinterp[0].name == "palette" or (jpeg and small)', "jpeg and small",
     A_PART_OF_THE_FILE),
    ("a-turned-scene-on-the-map", "place = (None, None) if turned else place_of(file)", "place = place_of(file)",
     "data/test_tiles.py::test_a_turned_scene_lies_on_no_map"),
)
bugs(
    "data/hdf5.py",
    ("truncated-is-locked", 'if "unable to lock file" in str(error):', 'if "lock" in str(error):',
     "data/test_hdf5.py::test_a_download_that_was_cut_is_said_to_be_truncated"),
)
bugs(
    "search.py",
    ("own-photo-is-a-sketch", "return own[0]", "pass",
     "attention/test_attention_system.py::test_a_photo_of_the_run_is_no_sketch"),
)
bugs(
    "files.py",
    ("links-replaced", "Path(os.path.realpath(path)) if path.is_symlink() else path", "path",
     "test_files.py::test_a_link_stays_one"),
    ("pipes-replaced", "if path.exists() and not path.is_file():", "if path.is_block_device():",
     "test_files.py::test_a_pipe_is_no_file_to_replace"),
    ("open-to-all", "os.chmod(temporary, whole.stat().st_mode & 0o7777)", "pass",
     "test_files.py::test_a_file_keeps_the_permissions_of_the_one_before"),
)
bugs(
    "runs.py",
    ("any-start", "fingerprint(data, parts) + start_digest(start)\n    made", "fingerprint(data, parts)\n    made",
     "attention/test_fine_tuning.py::test_a_fine_tuning_does_not_go_on_with_another_start"),
    ("settings-of-another-day", "if differs := first_difference(trained_with, config):", "if differs := None:",
     "test_runs.py::test_settings_that_were_changed_after_the_training_are_refused"),
    ("files-of-two-runs", 'not in ("", share)', 'in ("none",)',
     "test_runs.py::test_files_of_two_runs_are_not_read_as_one"),
    ("embeddings-of-other-weights", 'weights not in ("", tensor_digest(tensors))', "False",
     "test_runs.py::test_files_of_two_runs_of_the_same_data_are_not_read_as_one"),
)
bugs(
    "training/folder.py",
    ("checkpoint-of-other-settings", "first_difference(self.config, trained_with)", "None",
     "test_runs.py::test_files_of_two_runs_of_the_same_data_are_not_read_as_one"),
    ("any-line-is-an-epoch", 'isinstance(found, dict) and found.keys() >= {"stage", "epoch"}', "found is not None",
     "test_runs.py::test_lines_that_are_lost_of_a_log_are_said"),
)
bugs(
    "training/loop.py",
    ("validation-diverges-in-silence", "except NotFinite as error:", "except ZeroDivisionError as error:",
     "training/test_loop.py::test_a_validation_that_is_not_finite_is_one_too"),
)
bugs(
    "replicate/lab.py",
    ("features-of-other-data", "if prints is not None and str(prints) !=", "if prints is None and str(prints) !=",
     "replicate/test_lab.py::test_stage_1_of_other_data_is_not_gone_on_with"),
)
RECALL = "retrieval/test_recall.py::"
bugs(
    "retrieval/neighbours.py",
    ("packed-too-low", "max(int(level.max()) + 1, -int(level.min())) * items", "(int(level.max()) + 1) * items",
     NEIGHBOURS + "test_smallest_of_levels_far_below_zero", "nearest"),
)
bugs(
    "retrieval/metrics.py",
    ("one-name-for-two-classes", "len(set(label_names)) < len(label_names)", "len(set(label_names)) < 1",
     "retrieval/test_metrics.py::test_names_that_two_classes_share_are_refused", "evaluate_direction"),
)
bugs(
    "ops/shapes.py",
    ("whole-numbers-pass", 'array.dtype.kind not in "fc"', 'array.dtype.kind not in "fcu"',
     "ops/test_refused_shapes.py::test_whole_numbers_that_would_round_or_overflow[uint8-upsampling]"),
)
bugs(
    "estimators.py",
    ("fractions-of-labels", "if not np.isin(y, (0, 1)).all():", "if not np.isfinite(y).all():",
     "test_estimators.py::test_what_does_not_fit_is_a_value_error"),
    ("a-tuple-is-a-pair", "isinstance(y, tuple) and len(y) == 2 and", "isinstance(y, tuple) or",
     "test_estimators.py::test_a_tuple_of_labels_is_one_list_of_them"),
)
bugs(
    "retrieval/distances.py",
    ("any-number-is-a-k", "not isinstance(k, Integral) or k < 1", "k != k or k < 1",
     RECALL + "test_a_k_that_is_no_whole_number_is_refused[2.0]", "recall_at_k", "precision_at_k", "nearest"),
    ("empty-exclusions-refused", '(exclude.size and exclude.dtype.kind not in "iu")', 'exclude.dtype.kind not in "iu"',
     "retrieval/test_several_excluded.py::test_rows_that_exclude_nothing_may_be_empty", "nearest"),
)
bugs(
    "retrieval/recall.py",
    ("with-replacement", "xp.maximum(size - relevant - i, 0) / xp.maximum(size - i, 1)",
     "xp.maximum(size - relevant, 0) / xp.maximum(size, 1)",
     RECALL + "test_ties_take_their_expected_value_over_all_orders", "recall_at_k", "ties"),
    ("beyond-its-count", "xp.where(i < count, missed * factor, missed)", "missed * factor",
     RECALL + "test_rankings_worked_by_hand", "recall_at_k"),
    ("one-factor-too-few", "range(int(count.max()) if", "range(int(count.max()) - 1 if",
     RECALL + "test_ties_take_their_expected_value_over_all_orders", "recall_at_k", "ties"),
    ("missed-for-found", "out[queries] = 1 - missed", "out[queries] = missed", RECALL + "test_rankings_worked_by_hand",
     "recall_at_k"),
    ("last-group-for-first", "xp.diff(groups.row, prepend=-1)", "xp.diff(groups.row, append=-1)",
     RECALL + "test_rankings_worked_by_hand", "recall_at_k", "first_rank"),
    ("rank-from-zero-on", "(groups.size[first] + 1) / (groups.relevant[first] + 1)",
     "groups.size[first] / (groups.relevant[first] + 1)", RECALL + "test_rankings_worked_by_hand", "first_rank"),
    ("middle-of-the-tie", "(groups.size[first] + 1) / (groups.relevant[first] + 1)", "(groups.size[first] + 1) / 2",
     RECALL + "test_ties_take_their_expected_value_over_all_orders", "first_rank", "ties"),
)

PARTNERS = "retrieval/test_any_distances.py::test_recalls_of_partners_beside_the_precision_of_labels"
BESIDE_CHANCE = "retrieval/test_any_distances.py::test_chance_stands_beside_each_recall"
ON_PAIRS = "cmirnet/test_sensor_pairs_run.py::test_pairs_alone_are_enough_to_learn_from"
PARTNERS_NUMBERS = "cmirnet/test_sensor_pairs_run.py::test_partners_have_one_number"
ANY = "retrieval/test_any_distances.py::"
bugs(
    "retrieval/neighbours.py",
    ("farthest-by-any-distance", 'xp.argsort(block, axis=1, kind="stable")',
     'xp.argsort(-block, axis=1, kind="stable")',
     ANY + "test_nearest_by_is_a_stable_sort", "nearest_by"),
    ("finds-itself-by-any-distance", "block[excluded_pairs(exclude[rows])] = xp.inf", "block += 0",
     ANY + "test_nearest_by_is_a_stable_sort", "nearest_by"),
)
bugs(
    "retrieval/metrics.py",
    ("mean-for-median", "float(np.median(row))", "float(np.mean(row))",
     ANY + "test_recalls_and_the_median_rank_stand_beside_the_others", "measure_direction"),
    ("recalls-of-labels", "tie_groups(distance, recalled(rows), excluded)", "tie_groups(distance, hits, excluded)",
     PARTNERS, "measure_direction"),
    ("recalls-averaged-over-the-labelled", "found = np.isfinite(of_partners[0])", "found = averaged", PARTNERS,
     "measure_direction"),
)
bugs(
    "retrieval/ties.py",
    ("chance-among-the-irrelevant", "none, items, relevant = xp.zeros_like(row), groups.items[row],",
     "none, items, relevant = xp.zeros_like(row), groups.items[row] - groups.total[row],", BESIDE_CHANCE),
    ("chance-below-others", "TieGroups(row, none, items, none,", "TieGroups(row, none + 1, items, none,",
     BESIDE_CHANCE),
)
bugs(
    "retrieval/relevant_items.py",
    ("unlabelled-share-a-label", "if not run.dataset.label_names:", "if False:", ON_PAIRS),
)
bugs(
    "cmirnet/stage2.py",
    ("partners-out-of-order", "np.argsort(pairs[:, k])[", "np.arange(len(pairs))[", PARTNERS_NUMBERS),
)
bugs(
    "cmirnet/system.py",
    ("partners-never-asked-for", "None if data.label_names else data.pairing", "None", ON_PAIRS),
)
bugs(
    "retrieval/relevant_items.py",
    ("labels-in-another-order", "return np.concatenate(labels)", "return np.concatenate(labels[::-1])",
     ANY + "test_labels_of_two_kinds_become_multi_hot", "relevance"),
    ("one-way-partners", "pairs |= {(q, j, p, i) for p, i, q, j in pairs}", "pairs |= set()",
     ANY + "test_partners_are_relevant_in_both_directions_and_others_are_not", "relevance"),
)

COLLAPSE = "retrieval/test_collapse_measures.py::"
bugs(
    "retrieval/collapse.py",
    ("absolute-threshold", "1e-6 * max(1.0, float(_lengths(v.mean(axis=0)[None])[0]))", "1e-6",
     COLLAPSE + "test_the_threshold_is_relative_to_the_mean_and_absolute_below_one", "collapse", "state"),
    ("mean-for-maximum", "float(_radii(v).max()) <=", "float(_radii(v).mean()) <=",
     COLLAPSE + "test_the_threshold_is_relative_to_the_mean_and_absolute_below_one", "collapse", "state"),
    ("scale-squared", "xp.sqrt(((v / scale) ** 2).sum(axis=1)) * scale", "((v / scale) ** 2).sum(axis=1) * scale**2",
     COLLAPSE + "test_scales_are_mean_distances", "scale"),
    ("lengths-overflow", "scale = power_above(float(xp.abs(v).max()))", "scale = 1.0",
     COLLAPSE + "test_healthy_embeddings_of_any_size_are_alive[1e+200]", "state"),
    ("modalities-about-the-common-mean", "float(_radii(v_m).mean()) for m, v_m in v.items()",
     "float(_radii(v_m - everything.mean(axis=0) + 0 * v_m).mean()) * 0 + float(_radii(everything).mean()) "
     "for m, v_m in v.items()",
     COLLAPSE + "test_scales_are_mean_distances", "scale"),
    ("trace-not-squared", "xp.trace(covariance) ** 2", "xp.trace(covariance)",
     COLLAPSE + "test_effective_rank_is_the_participation_ratio_of_the_eigenvalues", "effective_rank"),
    ("rank-not-centred", "_participation(everything - everything.mean(axis=0))", "_participation(everything)",
     COLLAPSE + "test_effective_rank_is_the_participation_ratio_of_the_eigenvalues", "effective_rank"),
    ("one-point-is-no-collapse", 'else "half collapsed" if points else "alive"', 'else "alive"',
     COLLAPSE + "test_one_modality_at_a_point_is_half_a_collapse", "state"),
    ("two-points-are-alive", 'if together or len(points) == len(v) else', 'if together else',
     COLLAPSE + "test_two_modalities_at_two_points_are_collapsed_though_their_union_has_a_rank", "state"),
    ("a-point-has-rank-one", "0.0 if together else", "1.0 if together else",
     COLLAPSE + "test_a_point_is_collapsed_and_has_no_rank", "effective_rank"),
)

FIT = "hashing/test_hashing_fit.py::"
EPOCHS = FIT + "test_two_epochs_are_the_textbooks"
bugs(
    "hashing/fit.py",
    ("batch-balanced-twice", "learner.outputs().sum(axis=0) - f.sum(axis=0)", "learner.outputs().sum(axis=0)",
     EPOCHS + "[fit_dcmh]"),
    ("a-network-meets-itself", "g = other.outputs()", "g = learner.outputs()", EPOCHS + "[fit_dcmh]"),
    ("one-network-alone", "for learner, other in ((a, b), (b, a)):", "for learner, other in ((a, b), (a, b)):",
     EPOCHS + "[fit_dcmh]"),
    ("codes-never-renewed", "        codes = shared_codes(a.outputs(), b.outputs())\n    return",
     "        shared_codes(a.outputs(), b.outputs())\n    return", EPOCHS),
    ("codes-of-other-pairs", "similar(index)[:, index], codes[index]", "similar(index)[:, index], codes[: len(index)]",
     EPOCHS + "[fit_sidhcnn]"),
    ("gradients-exchanged", "a.step(df, cache_a)", "a.step(dg, cache_a)", EPOCHS + "[fit_sidhcnn]"),
    ("always-the-first-step", "        self.t += 1\n", "        self.t = 1\n", EPOCHS),
    ("loss-not-watched", "if not np.isfinite(losses[-1]):", "if losses[-1] is None:",
     FIT + "test_a_loss_that_is_not_finite_is_said"),
)

PARTNERS = "retrieval/test_translation.py::test_the_mean_over_the_nearest_training_pairs"
bugs(
    "retrieval/translation.py",
    ("own-features", "return train_other[index]", "return train_own[index]", PARTNERS),
    ("sum-of-partners", "[index].mean(axis=1)", "[index].sum(axis=1)", PARTNERS),
)

RADAR = "data/test_radar.py::"
bugs(
    "data/world/radar.py",
    ("sees-the-cloud", "colour, buildings, trees = ground.before", "_, buildings, trees = ground.before",
     RADAR + "test_a_cloud_is_not_seen"),
    ("leans-away", "columns - height[rows, columns] / np.float32", "columns + height[rows, columns] / np.float32",
     RADAR + "test_a_block_leans_towards_the_radar_and_casts_a_shadow_away_from_it"),
    ("nothing-is-hidden", "top >= np.maximum.accumulate(top, axis=1)", "top >= 0",
     RADAR + "test_a_block_leans_towards_the_radar_and_casts_a_shadow_away_from_it"),
    ("speckle-of-one-look", "standard_exponential((LOOKS, *power.shape)).mean(axis=0)",
     "standard_exponential(power.shape)", RADAR + "test_speckle_is_gamma_of_the_looks"),
    ("walls-shine-whichever-way-they-face", "facing[rows, columns] ** 2", "facing[rows, columns] ** 0",
     RADAR + "test_a_wall_shines_most_where_it_faces_the_radar"),
    ("rivers-under-houses", "self.buildings * level, self.trees * level", "self.buildings, self.trees",
     RADAR + "test_what_comes_later_levels_what_it_covers"),
)

# ---- mistakes that once survived: each is one of a kind -----------------------------------------------------------
HELD_OUT = "test_held_out.py::test_test_samples_change_no_weight_no_normaliser_and_no_best_epoch"
HELD_OUT += "[cmirnet {} classes paper]"
ITSELF = "test_ranking.py::test_of_labels_that_are_a_sample_s_own_nothing_is_relevant"
EXAMPLES = "test_ranking.py::test_examples_and_rankings_hold_everything_but_the_query"
SHOWS_THE_SAME = "attention/test_mixed_gallery.py::test_every_direction_is_measured_without_what_shows_the_same"
A_FILE = "test_ranking.py::test_a_file_never_finds_itself"
A_COPY = "test_ranking.py::test_a_copy_of_a_file_never_finds_it"
TEXTBOOK = "training/test_loop.py::test_any_settings_together_are_the_textbook_s"
BESIDE = "test_settings.py::test_a_setting_acts_beside_any_other"
REMAINDER = "ops/test_conv_max_pool.py::test_every_remainder_of_rows_samples_blocks_and_windows"
REMAINDER_NORMED = "ops/test_conv_act_norm_pool.py::test_every_remainder_of_rows_samples_blocks_and_windows"
BOTH_WAYS = "ops/test_conv_act_norm_pool.py::test_windows_are_whole_in_height_and_width"
UNWRITTEN = "gradcheck/test_battery.py::test_nothing_is_read_that_was_never_written"
SPLIT = "data/test_splits_and_pairs.py::test_voices_that_can_be_split_are_split"
SHARED_OUT = "data/test_splits_and_pairs.py::test_voices_are_shared_out_as_asked"
OF_SENSES = "replicate/cmirnet/test_senses.py::test_nothing_is_fitted_learned_or_kept_by_the_test_part"
OF_COMPARATORS = "replicate/cmirnet/test_table2.py::test_nothing_is_learned_or_chosen_from_the_test_part"

# the test part is seen
bugs(
    "cmirnet/system.py",
    ("best-epoch-of-stage-2-by-the-test-part",
     "len(pairs(0)), parts.validation, xp, partners)",
     "len(pairs(0)), parts.test, xp)",
     HELD_OUT.format("separate")),
    ("best-epoch-of-stage-1-by-the-test-part",
     "parts.train[m], parts.validation[m], xp, cl",
     "parts.train[m], parts.test[m], xp, cl",
     HELD_OUT.format("separate")),
    ("normalised-by-all-samples",
     "x.x, parts.train[m], settings.normalise_inputs)",
     "x.x, np.arange(len(x.x)), settings.normalise_inputs)",
     HELD_OUT.format("separate")),
    ("features-normalised-by-all-samples",
     'made[f"z.{m}"], parts.train[m], how)',
     'made[f"z.{m}"], np.arange(len(made[f"z.{m}"])), how)',
     HELD_OUT.format("standardised")),
    ("pairs-of-the-test-part",
     "pairs_of(data, parts.train, generator(settings.seed",
     "pairs_of(data, parts.test, generator(settings.seed",
     HELD_OUT.format("separate")),
    ("normalised-by-all-samples-end-to-end",
     "fitted |= fit_inputs(m, settings, data, parts, made)",
     "fitted |= fit_inputs(m, settings, data, parts._replace(train={m: np.arange(len(data.modalities[m].x))}), made)",
     HELD_OUT.format("joint")),
    ("stage-1-learns-the-test-part",
     "source, parts.train[m], parts",
     "source, np.concatenate([parts.train[m], parts.test[m]]), parts",
     HELD_OUT.format("separate")),
)
bugs(
    "cmirnet/many_training.py",
    ("best-epoch-of-many-by-all-the-rest",
     "to_device(validation, xp)",
     "to_device(np.delete(np.arange(len(y)), train), xp)",
     "test_held_out.py::test_of_many_modalities[changes0]"),
)
bugs(
    "replicate/cmirnet/table2.py",
    ("chosen-by-the-test-part",
     'in results[v]["validation"].values()))',
     'in (d["map"] for d in results[v]["directions"].values())))',
     OF_COMPARATORS),
    ("comparators-normalised-by-all-samples",
     "fit_normaliser(x, rows)(x) for",
     "fit_normaliser(x, np.arange(len(x)))(x) for",
     OF_COMPARATORS),
)
bugs(
    "replicate/cmirnet/senses.py",
    ("senses-normalised-by-all-samples",
     'fit_normaliser(made[f"z.{m}"], train, how)',
     'fit_normaliser(made[f"z.{m}"], np.arange(len(made[f"z.{m}"])), how)',
     OF_SENSES),
    ("best-epoch-of-senses-by-the-test-part",
     "features, y, train, validation, xp)",
     "features, y, train, test, xp)",
     OF_SENSES),
)

# a query finds itself
bugs(
    "retrieval/relevant_items.py",
    ("finds-itself-in-a-mixed-gallery",
     "np.where(place < behind[:, None], ", "np.where((place < behind[:, None]) & (len(gallery.rows) == 1), ",
     ITSELF),
    ("another-modality-s-row-is-left-out",
     "number = len(ascii_lowercase) * rows + ascii_lowercase.index(m)", "number = len(ascii_lowercase) * rows",
     "test_ranking.py::test_only_the_query_itself_is_left_out"),
    ("the-first-places-are-left-out",
     "order[np.minimum(place, len(order) - 1)], -1)", "place - place[:, :1], -1)",
     ITSELF),
    ("one-alone-is-left-out", "np.arange((behind - first).max(initial=0))", "np.arange(1)", SHOWS_THE_SAME),
    ("what-was-traced-is-found", "number = np.where(made[place] == rows,",
     "number = np.where(made[place] < 0,",
     SHOWS_THE_SAME),
)
bugs(
    "ranking.py",
    ("examples-find-themselves",
     "rank(run, query, searched, k, exclude=exclude)",
     "rank(run, query, searched, k)",
     EXAMPLES),
    ("any-distance-finds-itself", "k, exclude=exclude, xp=xp)", "k, xp=xp)", EXAMPLES),
    ("levels-are-told-as-distances", "distances = in_units(of_rows, found)", "distances = found",
     IN_WAYS + "by_pairs_a_search_gives_distances_of_embeddings"),
)
bugs(
    "runs.py",
    ("finds-itself-where-letters-differ",
     "exclude=to_device(positions(query, gallery, run.dataset.apart), xp),",
     "exclude=to_device(positions(query, gallery, run.dataset.apart), xp) "
     "if list(query.rows) == list(gallery.rows) else None,",
     ITSELF),
    ("spread-of-other-bands", "for n, a in known.items() if a.shape == fitted[n].shape}", "for n, a in known.items()}",
     "attention/test_fine_tuning.py::test_images_of_other_bands_begin_with_their_own_spread"),
)
PICTURE = "data/test_images.py::"
FIRST_BANDS = PICTURE + "test_tiff_files_show_their_first_three_bands"
FOURTH_BAND = PICTURE + "test_a_fourth_band_that_is_no_transparency"
NO_DATA_IS_BRIGHT = PICTURE + "test_no_data_is_bright_and_counts_for_no_span"
bugs(
    "data/no_data.py",
    ("no-data-is-data", "if value is not None and (zero or value)]", "if value and value > 0]",
     "data/test_bands.py::test_samples_that_a_file_says_are_no_data_are_refused"),
    ("a-colour-is-no-data", "colours=False) if coded else None", "colours=False) if not coded else None",
     "data/test_bands.py::test_no_data_of_a_palette_is_a_number_in_it_and_no_colour"),
    ("masked-is-data", "upright(mask, turn)[..., None] == 0", "upright(mask, turn)[..., None] < 0",
     "data/test_bands.py::test_samples_outside_the_mask_of_a_file_are_refused"),
)
bugs(
    "data/sketches.py",
    ("bytes-by-pillow-alone", "return odd[..., :3] if odd.shape[2] > 2", "return None if odd.dtype == np.uint8",
     "data/test_sketches.py::test_a_tiff_that_pillow_does_not_show_shows_the_same_lines[webp]"),
)
bugs(
    "gradcheck/diagnose.py",
    ("the-last-may-be-off", "len(some) - 1 and not some[end]:", "len(some) - 1:",
     "gradcheck/test_diagnose.py::test_one_end_of_the_steps_that_is_right[0-first-after-0]"),
)
bugs(
    "files.py",
    ("a-pointer-is-the-file", "file.read(len(LFS)) == LFS", "file.read(len(LFS)) is LFS",
     "test_machines.py::test_a_pointer_in_place_of_a_file[image]"),
)
bugs(
    "data/decode.py",
    ("as-stored-on-its-side", "return upright(x, page.tags.valueof(ORIENTATION))", "return x",
     "data/test_bands.py::test_tiff_stands_upright"),
)
bugs(
    "data/bands.py",
    ("no-data-is-a-value", "brighten(x, *no_data(x, path, zero=False), path)", "pass", NO_DATA_IS_BRIGHT),
)
bugs(
    "data/pictures.py",
    ("no-data-as-bright-as-itself", "values[missing] = values[~missing].max()", "values[missing] = values.min()",
     NO_DATA_IS_BRIGHT),
    ("infrared-is-transparency", "if samples == 4 and alpha and ON_A_MAP & set(tags)", "if samples == 4 and not alpha",
     FOURTH_BAND),
    ("transparency-is-infrared", "<= 0.01 * math.prod(file.size)", "< 0 * math.prod(file.size)", FOURTH_BAND),
)
LEFT_OUT = "data/test_class_names.py::test_what_one_side_lacks_is_said_with_three_names_at_the_most"
bugs(
    "data/class_names.py",
    ("by-the-other-sides-names", "not in {pair[side] for", "not in {pair[1 - side] for", LEFT_OUT),
    ("one-name-too-many", "len(left) - 3} more", "len(left) - 2} more", LEFT_OUT),
)
bugs(
    "data/sketches.py",
    ("loose-drawings-unsaid", ' + say_loose(root, drawing_suffixes(), "drawing")', "",
     "data/test_sketches.py::test_what_is_passed_over_is_said_and_what_lies_deeper_is_refused"),
)
bugs(
    "config.py",
    ("names-stay-numbers", "if key in misread}", "if key in misread and not text}", "test_config.py::test_overrides"),
)
PLACE = "amfmn/test_places.py::test_"
bugs(
    "places.py",
    ("places-on-the-border", "(i * cell + min((i + 1) * cell, size)) / 2 for", "min((i + 0.5) * cell, size) for",
     PLACE + "places_lie_within_the_picture[shape1]"),
)
bugs(
    "gradcheck/compare.py",
    ("excused-wherever-a-slope-is-large", "trial.rounding_elsewhere(i, index) and trial.right_elsewhere(i, index)",
     "trial.rounding_elsewhere(i, index)",
     "gradcheck/test_judgement.py::test_a_mistake_is_no_rounding_because_the_function_is_large_elsewhere"),
)
bugs(
    "gradcheck/check.py",
    ("two-points-believed-over-a-step", "<= APART * trial.rounding_elsewhere(i, index)", "<= 0",
     "gradcheck/test_judgement.py::test_the_loss_of_a_confident_network_is_right[40]"),
    ("one-direction-is-enough", "(loses_imaginary_part(trial) or _an_entry_contradicts(trial))",
     "loses_imaginary_part(trial)",
     "gradcheck/test_judgement.py::test_a_kink_in_small_units_hides_no_lost_imaginary_part"),
)
bugs(
    "reports/located.py",
    ("cells-stretched", ".resize((cell * heat.shape[1], cell * len(heat)))", ".resize((wide, high))",
     PLACE + "the_colours_lie_where_the_heat_is[103-sides0]"),
    ("scene-overwritten", "        keep_apart(written, *read)", "        keep_apart(written)",
     PLACE + "what_is_read_is_not_overwritten"),
)
bugs(
    "app/answers.py",
    ("same-sense", "(t for t in can if t != m)", "(t for t in can if t == m)",
     "app/test_server.py::test_where_nobody_says_what_is_searched_it_is_the_other_sense[drawn-sketches-a]"),
)
bugs(
    "app/describe.py",
    ("thumbnails-for-ever", ".stat().st_mtime_ns", ".stat() and None",
     "app/test_server.py::test_a_file_that_comes_back_or_is_another_is_shown_anew"),
)
REDRAW = "training/test_redraw.py::test_"
bugs(
    "cmirnet/system.py",
    ("traced-is-drawn-anew", 'stage1.redraw == "auto" and settings.sketches in TRACERS', 'stage1.redraw == ""',
     REDRAW + "what_was_traced_from_photos_is_turned_and_nothing_else[auto-canny]", "stage1.redraw=auto"),
    ("drawn-anew-all-the-same", '(traced or settings.stage1.redraw == "no")', "traced",
     REDRAW + "what_was_traced_from_photos_is_turned_and_nothing_else[no-drawings]", "stage1.redraw=no"),
    ("traced-never-drawn-anew", 'traced = settings.stage1.redraw == "auto" and', "traced =",
     REDRAW + "drawings_are_drawn_anew_in_a_run[yes-canny]", "stage1.redraw=yes"),
)
RECORDING = "data/test_speech.py::"
bugs(
    "data/speech.py",
    ("any-scale-is-full-scale", "> LOUDEST:", "> np.inf:", RECORDING + "test_recordings_that_hold_nothing"),
    ("half-is-whole", "if there < 1 - MISSING", "if there < 0", RECORDING + "test_a_recording_that_is_cut_off"),
    ("a-stream-is-cut-off", "there < declared < UNKNOWN", "there < declared",
     RECORDING + "test_a_recording_whose_header_was_written_before_its_end"),
    ("loose-recordings-unsaid", ' + say_loose(folder, SUFFIXES, "recording")', "",
     RECORDING + "test_recordings_below_and_above_the_labels"),
)
bugs(
    "data/images.py",
    ("last-bands-shown", "odd[..., :3] if odd.shape[2] > 2", "odd[..., -3:] if odd.shape[2] > 2", FIRST_BANDS),
    ("bytes-stretched", "BYTES if values.dtype == np.uint8 else span or", "span or", FIRST_BANDS),
)
bugs(
    "records.py",
    ("rows-of-b-counted-within-their-part",
     "[(m, int(row)) for m, rows in self.rows.items() for row in rows]",
     "[(m, int(row) if m == 'a' else i) for m, rows in self.rows.items() for i, row in enumerate(rows)]",
     EXAMPLES),
)
bugs(
    "search.py",
    ("a-file-finds-itself-among-both",
     "[-1 if itself is None else itself]",
     "[-1 if itself is None or list(items.rows) != [modality] else itself]",
     A_FILE),
    ("another-row-s-file-is-left-out",
     "exclude = positions(known, items, run.dataset.apart)",
     "exclude = np.array([[-1 if itself is None else min(itself, len(items) - 1)]])",
     A_FILE),
    ("a-link-finds-its-file",
     "paths, path = modality.paths, str(Path(query).resolve())",
     "paths, path = modality.paths, str(Path(query).absolute())",
     "test_ranking.py::test_a_file_is_known_by_whatever_way"),
    ("a-copy-finds-its-file", "    if known.digests is not None:\n", "    if known.digests is None:\n", A_COPY),
    ("a-twin-is-left-out", "if same.size and row not in same else row", "if same.size else row",
     "test_ranking.py::test_of_two_samples_that_hold_the_same_the_query_is_the_one_of_its_path"),
    ("a-drawing-of-the-run-is-a-photo", "if own := [m for m in kinds if is_known(run, m, query)]:",
     "if own := [m for m in kinds if row_of_path(run.dataset.modalities[m], query) is not None]:",
     "attention/test_attention_system.py::test_a_copy_of_a_sample_is_read_as_that_sample_is"),
)
bugs(
    "data/query.py",
    ("all-of-a-block-alike", "for sample in block)", "for sample in block[:1].repeat(len(block), axis=0))", A_COPY),
    ("bytes-among-sixteen-bits", "if x.shape[2] != bands or x.dtype != modality.x.dtype:", "if x.shape[2] != bands:",
     "data/test_sensor_pairs.py::test_a_query_is_read_band_by_band"),
    ("pan-by-its-own-values", "x = wald.pan(read_image(path, side, span=modality.span))",
     "x = wald.pan(read_image(path, side))",
     "data/test_load.py::test_a_deep_query_is_shown_as_its_data_set_was[3]"),
    ("tiles-of-any-size", "tiles[modality.name].shape[1:] != modality.x.shape[1:]:", "False:",
     "data/test_load.py::test_query_of_stored_tiles"),
)

FAR_OFF = "training/test_inputs.py::test_samples_that_float32_cannot_hold_are_normalised_before_they_become_it"
bugs(
    "training/inputs.py",
    ("squares-of-the-offset", "shift = one[0]", "pass", FAR_OFF),
    ("the-shift-forgotten", "mean = mean + shift", "pass", FAR_OFF),
)
bugs(
    "data/features.py",
    ("always-single", "x.dtype == np.float64 and swallowed.any()", "swallowed.all()", FAR_OFF),
)
bugs(
    "data/sensor_pairs.py",
    ("columns-as-they-stand", "cells[::-1] if turned or other_way else cells", "cells",
     "data/test_sensor_pairs.py::test_a_table_may_have_the_sensors_the_other_way_round"),
)
MOVED = "test_runs.py::test_a_run_goes_on_where_its_samples_were_moved"
bugs(
    "training/folder.py",
    ("settings-of-the-old-place", "self._write_settings()\n\n    def _hold", "pass\n\n    def _hold",
     MOVED + "[sketches=mine-sketches=/there/mine-sketches=canny]"),
)
bugs(
    "config.py",
    ("where-the-start-lies", 'name in ("start_from", "trunk_weights")', 'name == "trunk_weights"',
     "attention/test_fine_tuning.py::test_a_fine_tuning_goes_on_where_the_run_it_began_with_was_moved"),
    ("where-recordings-lie", 'name in ("speech", "sketches")', 'name == "sketches"',
     MOVED + "[speech=/here/words-speech=/there/my words-speech=bundled]"),
    ("traced-is-moved", 'value if value in NO_FOLDERS else ""', 'bool(value)',
     MOVED + "[sketches=mine-sketches=/there/mine-sketches=canny]"),
)

# settings that meet in one line
bugs(
    "training/loop.py",
    ("decay-of-the-first-entries", "decay = decay[entries] if", "decay = decay[: len(part[0])] if", TEXTBOOK),
    ("no-decay-in-turn",
     "optimiser = Optimiser(turns, _decay(params, task.schedule.weight_decay))",
     "optimiser = Optimiser(turns, _decay(params, task.schedule.weight_decay) if turns == [None] else 0.0)",
     TEXTBOOK),
    ("decay-in-the-first-turn-alone",
     "_adam(entries, state, flatten(grads, params), numbers, optimiser.decay)",
     "_adam(entries, state, flatten(grads, params), numbers, optimiser.decay if entries is "
     "optimiser.turns[0] else 0.0)",
     TEXTBOOK),
    ("gradient-of-the-first-entries",
     "adam_by_numbers(part[0], grad[entries], part[1]",
     "adam_by_numbers(part[0], grad[: len(part[0])], part[1]",
     TEXTBOOK),
    ("a-step-of-adam-for-each-turn",
     "adam_numbers(step + 1, lr), state.epoch",
     "adam_numbers(step * len(optimiser.turns) + 1, lr), state.epoch",
     TEXTBOOK),
    ("last-epoch-not-kept-in-turn",
     'best = schedule.keep == "last" or validation',
     'best = (schedule.keep == "last" and not task.alternating) or validation',
     TEXTBOOK),
)
bugs(
    "cmirnet/stage2.py",
    ("dropout-with-a-shared-head-alone",
     "latent_dropout=settings.latent_dropout,",
     'latent_dropout=settings.latent_dropout if settings.classifier == "shared" else "none",',
     BESIDE + "[classifier]"),
    ("features-dropped-without-fronts-alone",
     'if source.kind == "features" and schedule.feature_dropout]',
     'if source.kind == "features" and schedule.feature_dropout and not network.fronts]',
     BESIDE),
    ("alpha-of-all-layers-alone",
     "alpha=settings.alpha,",
     'alpha=settings.alpha if settings.regularized_layers == "all" else 0.0,',
     BESIDE + "[alpha]"),
)
bugs(
    "cmirnet/stage1.py",
    ("hidden-layers-of-standardised-inputs-alone",
     "hidden=settings.stage1.hidden,",
     "hidden=settings.stage1.hidden if settings.normalise_inputs == 'standardise' else (),",
     BESIDE + "[normalise_inputs]"),
)

# little memory
bugs(
    "retrieval/neighbours.py",
    ("exclusions-of-the-first-sub-block",
     "None if own is None else own[part])",
     "None if own is None else own[: part.stop - part.start])",
     "retrieval/test_neighbours.py::test_little_memory_changes_nothing_in_large_galleries"),
)

# greedy choices
KEPT = "attention/test_fine_tuning.py::test_what_the_first_run_learned_from_is_not_tested"
bugs(
    "data/splits.py",
    ("what-was-learned-from-is-tested", "[part_of.get(name, k) for name, k in", "[k for name, k in", KEPT),
    ("what-was-traced-stays-where-it-was-drawn", 'for rows in out["a"]]', 'for rows in [rows["a"] for rows in parts]]',
     "attention/test_fine_tuning.py::test_traced_sketches_follow_their_photos_into_the_first_run_s_parts"),
    ("only-the-rarest-label-is-counted-down", "lacking[part[v]] -= says[v]", "lacking[part[v], rarest] -= 1", SPLIT),
    ("the-commonest-label-first",
     "rarest = np.argmin(np.where(remaining > 0, remaining, len(says) + 1))",
     "rarest = np.argmax(remaining)",
     SHARED_OUT),
    ("to-the-part-that-lacks-most-of-anything",
     "np.argmax(lacking[:, rarest])",
     "np.argmax(lacking.sum(axis=1))",
     SPLIT),
    ("the-same-order-again",
     "rng.permutation(len(voices)))\n        missing",
     "np.arange(len(voices)))\n        missing",
     SPLIT),
)

# remainders
bugs(
    "ops/fused/tiles.py",
    ("last-partial-tile-dropped",
     "for r in range(0, self.down, self.height)]",
     "for r in range(0, max(self.down - self.height, 0) + 1, self.height)]",
     REMAINDER),
    ("last-partial-stack-dropped",
     "slice(i, min(i + self.samples, block.stop)) for i in range(block.start, block.stop, self.samples)",
     "slice(i, min(i + self.samples, block.stop)) for i in range(block.start, max(block.stop - "
     "self.samples + 1, block.start + 1), self.samples)",
     REMAINDER),
)
bugs(
    "parallel.py",
    ("last-partial-block-dropped",
     "for i in range(0, samples, size)]",
     "for i in range(0, samples - samples % size or samples, size)]",
     REMAINDER),
)
bugs(
    "ops/fused/act_norm.py",
    ("gradient-of-the-last-block-dropped",
     "map_blocks(write_dx, len(a), _block_size(a))",
     "map_blocks(write_dx, len(a) - len(a) % _block_size(a), _block_size(a))",
     "ops/test_act_norm.py::test_values_statistics_and_gradients"),
)
bugs(
    "ops/fused/conv_act_norm_pool.py",
    ("last-sample-not-normalised",
     "y[block]), len(x))\n    norm_cache",
     "y[block]), max(len(x) - 1, 1))\n    norm_cache",
     REMAINDER_NORMED),
    ("whole-in-height-alone", "not (x.shape[1] % factor or x.shape[2] % factor)", "not x.shape[1] % factor", BOTH_WAYS),
    ("whole-in-width-alone", "not (x.shape[1] % factor or x.shape[2] % factor)", "not x.shape[2] % factor", BOTH_WAYS),
    ("whole-in-one-of-two",
     "not (x.shape[1] % factor or x.shape[2] % factor)",
     "not (x.shape[1] % factor and x.shape[2] % factor)",
     BOTH_WAYS),
)

# killed by an assertion, not by chance
bugs(
    "ops/conv.py",
    ("border-never-written",
     "padded = xp.zeros((n, h + k - 1, w + k - 1, c), dtype=x.dtype)",
     "padded = xp.empty((n, h + k - 1, w + k - 1, c), dtype=x.dtype)",
     UNWRITTEN),
)
bugs(
    "ops/max_pool.py",
    ("losers-never-written", "dx = xp.zeros(cache.shape", "dx = xp.empty(cache.shape", UNWRITTEN),
)
bugs(
    "ops/fused/tiles.py",
    ("border-of-tiles-never-written", "        self.padded.fill(0)\n", "", UNWRITTEN),
    ("border-of-spread-never-written", "self.full = np.zeros((", "self.full = np.empty((", UNWRITTEN),
)
bugs(
    "ops/fused/conv_max_pool.py",
    ("dw-never-written",
     "dw, dpadded = np.zeros_like(w), tiles.empty()",
     "dw, dpadded = np.empty_like(w), tiles.empty()",
     UNWRITTEN),
)
bugs(
    "parallel.py",
    ("results-in-order-of-completion",
     "results[i] = work(parts[i])",
     "result = work(parts[i])\n                results[next(k for k, r in enumerate(results) if r is None)] = result",
     "ops/test_conv_max_pool.py::test_results_come_in_the_order_of_the_parts"),
)
bugs(
    "cmirnet/objective.py",
    ("layers-of-the-decoder-regularised",
     "regularized_layers, arch.encoder_depth)",
     "regularized_layers, arch.decoder_depth)",
     "cmirnet/test_objective.py::test_the_regulariser_counts_the_encoder_s_layers_whatever_the_decoder_has"),
)

# diagnoses and verdicts on inputs of mixed size
MIXED = "gradcheck/test_diagnose.py::test_a_kind_among_gradients_of_very_different_size"
ZEROS = "gradcheck/test_diagnose.py::test_a_kind_where_some_entries_are_rounded_zeros"
bugs(
    "gradcheck/evidence.py",
    ("off-relative-to-each-entry", "return ~(gaps(self.ours, self.measured) <= self.close * size + rounding)",
     "return ~(gaps(self.ours, self.measured) <= self.close * size)", MIXED),
    ("nothing-is-rounding", "            return 0.0\n        return float(rounding)",
     "            return 0.0\n        return 0.0", MIXED),
    ("rounding-of-the-largest-always", "            return 0.0\n        return float(rounding)",
     "            return float(rounding)\n        return float(rounding)",
     "gradcheck/test_diagnose.py::test_a_mistake_in_the_small_entries_alone_is_that_of_the_small_entries"),
)
bugs(
    "gradcheck/masks.py",
    ("blocked-where-exactly-0", "blocked = np.abs(e.measured) <= e.rounding", "blocked = e.measured == 0", ZEROS),
)
NAMED = "gradcheck/test_mistakes.py::test_a_mistake_is_named_by_a_right_name_and_in_words_that_lead_to_it"
bugs(
    "gradcheck/arrangement.py",
    ("a-coincidence-is-a-kind", "return 2 * e.off.sum() >= some.sum()", "return 2 * e.off.sum() >= 0",
     f"{NAMED}[triplet: positive forgotten]"),
)
bugs(
    "gradcheck/factors.py",
    ("what-belongs-for-what-stands", "_exchange_words(e, j, *pair)", "_exchange_words(e, j, *pair[::-1])",
     f"{NAMED}[layer_norm: dgain with x for h]"),
)
bugs(
    "gradcheck/forms.py",
    ("what-rounding-leaves-is-a-factor", "if np.abs(total).max() > NOTHING * np.abs(a).max():", "if total.any():",
     "gradcheck/test_mistakes.py::test_the_sum_of_a_line_is_tried_where_it_is_more_than_rounding"),
)
bugs(
    "gradcheck/paths.py",
    ("few-numbers-are-a-proof", "PROOF = 6", "PROOF = 0",
     "gradcheck/test_diagnose.py::test_a_short_axis_proves_no_term"),
    ("the-wrong-axis-is-the-right-one", "axes_text(there if right == here else here), axes_text(right)",
     "axes_text(right), axes_text(there if right == here else here)", f"{NAMED}[layer_norm: statistics over axis 0]"),
)
bugs(
    "gradcheck/trial.py",
    ("a-mask-is-a-number", "held = masks | {", "held = {",
     "gradcheck/test_judgement.py::test_a_mask_with_a_gradient_of_zeros_is_held"),
    ("labels-are-numbers",
     "        except Exception:\n            return True", "        except Exception:\n            continue",
     "gradcheck/test_judgement.py::test_labels_with_a_gradient_of_zeros_are_held"),
    ("labels-by-equality-are-numbers", "> 1e-4 * np.abs(wanted)", "> 1e4 * np.abs(wanted)",
     "gradcheck/test_judgement.py::test_labels_with_a_gradient_of_zeros_are_held"),
    ("zeros-are-labels", "if not np.any(trial.grads[i]) and _jumps(f, inputs, trial.y, i)",
     "if not np.any(trial.grads[i])", "gradcheck/test_judgement.py::test_whole_numbers_with_a_slope_are_numbers"),
)
bugs(
    "gradcheck/regularity.py",
    ("what-is-kept-is-forgiven", "zip(trial.names, trial.grads, first, strict=True)",
     "zip(trial.names, first, first, strict=True)",
     "gradcheck/test_judgement.py::test_what_is_kept_of_another_call_is_found"),
)
bugs(
    "gradcheck/judgement.py",
    ("what-is-contradicted-stays-open", "return not np.isfinite(slope.error) or bool(slope.admits(",
     "return True or bool(slope.admits(",
     "gradcheck/test_judgement.py::test_what_rounding_hides_is_no_quantiser[1e-20]"),
)
DIAGNOSE = "gradcheck/test_diagnose.py::"
bugs(
    "gradcheck/factors.py",
    ("a-few-signs-are-a-mask", "and a.size < FEWEST_SIGNS", "and a.size < 0",
     f"{DIAGNOSE}test_the_signs_of_a_few_entries_are_no_mask"),
    ("the-other-side-of-the-gate", '"{q} stands where {p} belongs"', '"{p} stands where {q} belongs"',
     f"{DIAGNOSE}test_exp_is_named_beside_the_two_sides_of_a_gate"),
    ("every-output-lacks-it", "if abs(block[0] - 1) > 1e-9]", "]",
     f"{DIAGNOSE}test_a_factor_of_one_of_several_outputs_is_that_outputs"),
)
bugs(
    "gradcheck/evidence.py",
    ("y-is-always-the-output", '"the output" if "y" in inputs else "y"', '"y"',
     f"{DIAGNOSE}test_an_input_may_be_called_y"),
)
bugs(
    "gradcheck/examine.py",
    ("what-the-jacobians-do-not-show-has-a-kind", "return None if alike else jacobians", "return jacobians",
     "gradcheck/test_module.py::test_a_small_mistake_in_one_entry_is_of_no_kind[1e-10]"),
)
bugs(
    "gradcheck/regularity.py",
    ("float32-inside-is-a-mistake", "if in_float32:", "if False:",
     "gradcheck/test_module.py::test_a_wrong_backward_is_found_and_the_kind_is_named[float32 inside]"),
    ("whatever-stays-is-float32", "return not within and all(", "return not within or all(",
     "gradcheck/test_module.py::test_a_quantiser_is_no_float32[(x > 0) * 1.0]"),
    ("what-float32-has-is-rounded", "16 * next_numbers(shape))[single != half].mean() > 0.5",
     "16 * next_numbers(shape)).size > 0",
     "gradcheck/test_module.py::test_a_quantiser_is_no_float32[np.floor(1e4 * x.real)]"),
    ("what-float32-has-is-a-tables", "16 * next_numbers(shape))[single != half].mean() > 0.5",
     "0 * next_numbers(shape)).any()",
     "gradcheck/test_module.py::test_a_wrong_backward_is_found_and_the_kind_is_named[float32 inside]"),
)
bugs(
    "gradcheck/whole.py",
    ("a-small-formula-is-rounding", "and not _is_a_formula(e, gap, error)", "",
     "gradcheck/test_module.py::test_a_wrong_backward_is_found_and_the_kind_is_named[a small factor]"),
)
bugs(
    "gradcheck/module.py",
    ("a-None-too-many", "if name in bound or g is not None]", "]",
     "gradcheck/test_module.py::test_a_parameter_that_keeps_its_default_may_have_None_for_its_gradient[inputs0]"),
)
bugs(
    "gradcheck/steps.py",
    ("steps-from-the-front", "return [*reversed(self.pairs), *self.inputs]", "return [*self.pairs, *self.inputs]",
     "gradcheck/test_steps.py::test_steps_are_read_from_the_output_backwards_and_the_inputs_last"),
    ("a-step-s-inputs-move-with-it", "{name: value - values[name]}", "{name: 2 * (value - values[name])}",
     "gradcheck/test_steps.py::test_a_right_backward_has_no_wrong_step"),
)
bugs(
    "gradcheck/check.py",
    ("methods-that-do-not-exist", "not set(methods) <= set(METHODS)", "not set(methods) & set(METHODS)",
     "gradcheck/test_checker.py::test_methods_that_would_check_nothing_are_refused[methods2]"),
    ("ties-get-it-all", "right=comparison.result.right and not tied)", "right=comparison.result.right)",
     "gradcheck/test_hostile.py::test_by_the_function[max tie everyone]"),
)
bugs(
    "gradcheck/compare.py",
    ("rounding-not-added-up", "CLOSE * size + min(2 * rounding, ROUNDED * size)", "CLOSE * size",
     "gradcheck/test_judgement.py::test_what_rounding_explains_of_entries_it_explains_along_a_direction[178]"),
    ("rounding-of-what-is-no-number", " & np.isfinite(ours) & np.isfinite(stepped)", "",
     "gradcheck/test_judgement.py::test_only_what_is_right_a_number_and_off_the_kinks_is_rounding"),
    ("kinks-are-rounding", "~comparison.off & ~comparison.kinks", "~comparison.off",
     "gradcheck/test_judgement.py::test_only_what_is_right_a_number_and_off_the_kinks_is_rounding"),
    ("any-rounding-believed", "min(2 * rounding, ROUNDED * size)", "2 * rounding",
     "gradcheck/test_checker.py::test_broken_pairs_are_refused[mask drawn anew]"),
)
bugs(
    "gradcheck/check.py",
    ("complex-step-always-believed", "or here.admits(stepped):", "or np.isfinite(stepped):",
     "gradcheck/test_hostile.py::test_a_forward_that_loses_the_imaginary_part_is_judged_by_the_central_difference"),
)
bugs(
    "reports/located.py",
    ("numbers-cut-off", "left = x + r + 3 if x + r + 3 + box[2] < picture.width else x - r - 3 - box[2]",
     "left = x + r + 3", "amfmn/test_places.py::test_the_number_of_a_place_at_the_border_can_be_read"),
)
bugs(
    "progress.py",
    ("terminal-steered", "print(line.translate(SPELLED), ", "print(line, ",
     "test_progress.py::test_what_would_steer_the_terminal_is_spelled"),
    ("losses-before-the-bar", 'overflow="ellipsis", ratio=1', 'overflow="fold", min_width=90',
     "test_progress.py::test_however_narrow_the_terminal_it_says_how_far_it_is"),
)
bugs(
    "estimators.py",
    ("classes-never-seen-left-out", "known = np.unique(np.concatenate([y_a, y_b]))", "known = classes[:0]",
     "test_estimators.py::test_rows_of_classes_that_were_never_seen_count_in_the_score"),
)
bugs(
    "retrieval/faiss_index.py",
    ("parameters-not-set", "set_index_parameters(index, parameters)", 'set_index_parameters(index, "")',
     "retrieval/test_faiss_index.py::test_an_approximate_index_finds_most_and_ranks_exactly"),
)
bugs(
    "reports/spread.py",
    ("recall-of-the-first-seed-decides", "if any(value is not None for value in recalls)",
     "if recalls[0] is not None",
     "reports/test_spread.py::test_a_seed_that_lacks_a_recall_takes_it_from_no_other"),
)
bugs(
    "cmirnet/system.py",
    ("features-read-again-have-another-length", 'made[f"{name}/std"], how == "unit")', 'made[f"{name}/std"], False)',
     "attention/test_attention_system.py::test_features_of_one_length_are_so_in_training_and_afterwards",
     "normalise_features=unit"),
)
bugs(
    "attention/system.py",
    ("features-stored-in-another-length", 'made, settings.normalise_features)(made', 'made)(made',
     "attention/test_attention_system.py::test_features_of_one_length_are_so_in_training_and_afterwards"),
)
MATCHED = "attention/test_attention_system.py::test_what_cannot_be_matched_is_refused_before_anything_is_trained"
bugs(
    "runs.py",
    ("checked-where-fine-tuned-alone", "if check := system_of(config).check:",
     "if known and (check := system_of(config).check):", MATCHED + "[all-True]"),
)
bugs(
    "attention/system.py",
    ("the-test-part-alone-is-matched", 'PARTS if settings.gallery == "all" else ("test", settings.gallery)',
     '("test",)', MATCHED + "[all-True]"),
)
bugs(
    "cmirnet/system.py",
    ("dropout-refused-beside-samples", 'if dropped and all(as_read', 'if dropped and any(as_read',
     "test_settings.py::test_features_are_dropped_where_there_are_any"),
)
bugs(
    "config.py",
    ("seeds-are-counts", ' and not info.field_name.endswith("seed"):', ":", "test_config.py::test_overrides"),
    ("widths-within-lists-not-counted", "for number in value if isinstance(value, tuple) else (value,):",
     "for number in (value,):", "test_config.py::test_a_wrong_override_is_refused_in_one_line_with_a_hint"),
)
bugs(
    "cli/__init__.py",
    ("overflows-told-before-the-loss", "    hush_numpy()\n", "", "test_cli.py::test_a_diverging_run_is_status_1"),
)
SERVER = "app/test_server.py::"
bugs(
    "app/server.py",
    ("last-byte-left-out", "content[first : last + 1]", "content[first:last]",
     SERVER + "test_the_bytes_that_are_asked_for"),
    ("last-bytes-are-the-first", "max(size - int(end), 0)", "0", SERVER + "test_the_bytes_that_are_asked_for"),
    ("ranges-beyond-the-sound", "if first > last:", "if first > size:", SERVER + "test_bytes_that_there_are_not"),
    ("threads-hold-up-an-interruption", "        end_threads()", "        pass",
     SERVER + "test_nobody_waits_for_what_is_computed_when_the_server_has_ended"),
)
bugs(
    "parallel.py",
    ("parts-begun-after-the-end", "if aside and ENDED.is_set():", "if False:",
     "ops/test_conv_max_pool.py::test_after_the_end_only_the_main_thread_goes_on"),
    ("nothing-begun-after-the-end", "if aside and ENDED.is_set():", "if ENDED.is_set():",
     "ops/test_conv_max_pool.py::test_after_the_end_only_the_main_thread_goes_on"),
)
bugs(
    "reports/scores.py",
    ("seeds-left-out-in-silence", '.replace("-", "−") + share', '.replace("-", "−")',
     "replicate/test_claims.py::test_a_number_says_of_how_many_seeds_it_is"),
)
bugs(
    "retrieval/metrics.py",
    ("five-cutoffs-for-ten", '{"mean_precision_at_ten_tens": 10}', '{"mean_precision_at_ten_tens": 5}',
     "retrieval/test_metrics.py::test_ten_cutoffs_beside_five"),
)
bugs(
    "runs.py",
    ("ten-cutoffs-for-none", "ten_tens=SCENARIOS[run.config.scenario].ten_tens,", "",
     "reports/test_report.py::test_the_cutoffs_of_the_scripts_for_speech_stand_in_its_tables_alone"),
)
bugs(
    "files.py",
    ("a-place-is-never-tried", "with suppress(_NothingYet), whole(path):\n        raise _NothingYet", "pass",
     "test_cli.py::test_what_cannot_be_written_is_said_before_the_work"),
)
bugs(
    "estimators.py",
    ("columns-in-any-order", "if seen != given:", "if len(seen) != len(given):",
     "test_estimators.py::test_columns_in_another_order_are_refused"),
)
bugs(
    "config.py",
    ("set-blamed-for-what-a-file-says", "for key in said):", "for key in (*said, *given)):",
     "test_config.py::test_what_a_preset_says_wrongly_is_no_fault_of_set"),
)
IN_PART = "data/test_bands.py::test_a_pixel_counts_by_what_of_it_lies_in_an_area[shape0-float32]"
bugs(
    "data/pictures.py",
    ("in-part-is-whole", "counts[0], counts[-1] = size - part[k], part[k + 1]", "counts[-1] = size", IN_PART),
    ("areas-of-whole-pixels", "if image.width % size or image.height % size:", "if image.width < size:", IN_PART),
)
bugs(
    "data/images.py",
    ("shown-by-another-mean", "pixels = fit_picture(_with_bands(file, bands, path), size)",
     "pixels = np.asarray(_with_bands(file, bands, path).resize((size, size), 4) if size else file)",
     "data/test_images.py::test_shrinking_in_any_ratio_takes_means_over_areas[3-uint8]"),
)
NO_PEN = "data/test_sketches.py::test_what_no_pen_leaves_is_no_drawing"
bugs(
    "data/sketches.py",
    ("both-sides-are-ink", "one_side >= ONE_SIDE and", "one_side >= 0 and",
     NO_PEN + "[lighter and darker than the ground]"),
    ("areas-are-lines", "share_of_thick <= THICK or faint", "share_of_thick <= 1 or faint",
     NO_PEN + "[areas, a dark and a faint one]"),
    ("no-shape-is-filled", "or faint <= FAINT", "or faint < 0",
     "data/test_sketches.py::test_a_filled_shape_is_a_drawing"),
)
MARKED = "data/test_tiles.py::test_transparency_and_masks_of_any_file_are_no_data"
bugs(
    "data/no_data.py",
    ("water-is-transparent", "x.any(axis=2) if alpha else file.read_masks(window=window)",
     "file.read_masks(window=window)", "data/test_tiles.py::test_near_infrared_of_water_is_no_transparency"),
    ("infrared-marks", "& (between <= 0.01)", "& (between <= 1)",
     "data/test_tiles.py::test_a_band_that_is_called_transparent_and_is_none_marks_nothing"),
    ("transparent-is-data", "return clear_pixels(x) if alpha else nothing", "return nothing",
     MARKED + "[RGBA.tif]"),
    ("a-clear-colour-is-data", 'getchannel("A"))[..., None] == 0', 'getchannel("A"))[..., None] < 0',
     MARKED + "[grey.png]"),
    ("no-mask-beside", "return mask == 0", "return mask < 0", MARKED + "[beside.png]"),
    ("a-mask-hides-the-tag", "if file.nodata is not None:", "if file.nodata is None:",
     "data/test_tiles.py::test_a_tag_counts_beside_a_mask"),
)
bugs(
    "data/splits.py",
    ("renamed-is-new", "holds[digest] for i, digest in found if digest in holds",
     "holds[digest] for i, digest in found if digest in ()",
     "attention/test_fine_tuning.py::test_what_the_first_run_learned_from_is_not_tested_under_another_name"),
)
COPIES = "test_ranking.py::test_a_copy_of_what_was_trained_on_is_said"
bugs(
    "runs.py",
    ("copies-unsaid", "*copies_in_words(run, queries)]", "]", COPIES),
    ("itself-is-a-copy", "np.setdiff1d(items_of(run, m, part).rows[m], train[m])", "items_of(run, m, part).rows[m]",
     COPIES),
)
bugs(
    "data/locate.py",
    ("a-class-is-missing", "path.is_symlink() and not path.exists() and not path.suffix:", "not path.name:",
     "data/test_locate.py::test_a_class_that_is_a_link_to_nowhere_is_refused"),
)
bugs(
    "data/speech.py",
    ("any-rate-holds-speech", "if rate <= 2 * LOWEST:", "if rate <= 0:",
     "data/test_speech.py::test_a_rate_that_holds_no_speech_is_refused"),
)
bugs(
    "estimators.py",
    ("no-relevant-item-scores-0", "return float(\"nan\")", "return 0.0",
     "test_estimators.py::test_where_nothing_is_relevant_there_is_no_score", "average_precision"),
)
bugs(
    "ranking.py",
    ("a-gallery-of-captions-marks-classes",
     "are_relevant(run, letter, row, [searched.sample(int(i)) for i in places]),", "None,",
     "amfmn/test_amfmn_system.py::test_galleries_mark_an_images_own_captions_and_no_others_of_its_class"),
)
bugs(
    "config.py",
    ("true-is-a-number", "{int, float} & {kind, *get_args(kind)}:", "kind is str:",
     "test_config.py::test_a_wrong_override_is_refused_in_one_line_with_a_hint[scenes=false-pieces10]"),
)
MODERN = "gradcheck/test_modern.py::test_a_mistake_is_found_and_not_named_wrongly"
bugs(
    "gradcheck/paths.py",
    ("zeros-are-a-proof", "(whole | (np.abs(target) > tolerance)).sum(axis=1) - len(basis)",
     "np.full(len(target), n) - len(basis)", f"{MODERN}[cholesky: one entry of p]"),
)
bugs(
    "gradcheck/steps.py",
    ("steps-with-a-None-too-many",
     "backward = bind_by_name(loaded.forward, loaded.backward, loaded.inputs, loaded.inputs_of)[1]",
     "backward = loaded.backward",
     "gradcheck/test_steps.py::test_a_parameter_that_keeps_its_default_may_have_None_for_its_gradient"),
)
bugs(
    "gradcheck/arrangement.py",
    ("any-square-matrix-is-transposed",
     "left, right = a.T @ one, (a.T @ other).T", "left, right = a.T @ one, a.T @ one",
     "gradcheck/test_diagnose.py::test_random_numbers_are_of_no_kind[product_transposed]"),
)
bugs(
    "gradcheck/factors.py",
    ("one-of-several-exchanges", "if found and is_plain(found[0]) else found[:1]", "if not found else found[:1]",
     f"{MODERN}[unit: v for w]"),
    ("before-for-after", "inside == [True, False]", "inside == [False, True]", f"{MODERN}[ranked: w at the other end]"),
)
bugs(
    "gradcheck/paths.py",
    ("all-of-it-is-a-path", "if not spans(arrays, j.right, (axis,), tolerance):", "if True:",
     "gradcheck/test_mistakes.py::test_a_mistake_of_the_control_is_not_named_wrongly[lstm: c for g]"),
)
bugs(
    "gradcheck/judgement.py",
    ("a-quantiser-stays-open", "for i in comparisons if i not in flat}", "for i in comparisons}",
     "gradcheck/test_judgement.py::test_a_quantiser_has_the_derivative_0[round]"),
)
bugs(
    "gradcheck/jumps.py",
    ("a-pole-is-a-jump", " <= 4 * size)", ")",
     "gradcheck/test_judgement.py::test_a_step_beside_something_smooth_is_mentioned"),
    ("whatever-moves-jumps", "JUMP = 1e-6", "JUMP = 0",
     "gradcheck/test_judgement.py::test_what_rounding_hides_is_no_quantiser[1e-16]"),
)
bugs(
    "gradcheck/recurrence.py",
    ("one-wrong-step-is-the-recurrence", "if not off[next_ones].all() and (", "if False and (",
     f"{MODERN}[cholesky: one entry of p]"),
    ("a-factor-of-the-next-step", "value[s + first : t + first]", "value[s : t]", f"{MODERN}[gated: g left out]"),
    ("a-step-has-no-factor", "return _in_a_step(e, j, of_y, of_x, axis) if everywhere else None", "return None",
     f"{MODERN}[recurrent: slope left out]"),
)
bugs(
    "gradcheck/arrangement.py",
    ("a-reflection-is-a-rotation", "unit = np.abs(np.abs(turn) - 1).max() <= ALIKE", "unit = True",
     "gradcheck/test_diagnose.py::test_a_pair_that_grows_is_not_turned"),
)
bugs(
    "gradcheck/jacobians.py",
    ("no-array-over-the-steps", "if isinstance(cache, list) and len(cache) > 2:", "if False:",
     f"{MODERN}[recurrent: slope of the step before]"),
)
bugs(
    "gradcheck/compare.py",
    ("infinity-agrees-with-infinity", "    if not np.isfinite(gap):\n", "    if False:\n",
     "gradcheck/test_checker.py::test_a_gradient_that_is_not_finite_is_wrong_along_every_direction_and_warns_of_nothing"
     "[entries0]"),
)
bugs(
    "gradcheck/factors.py",
    ("a-number-is-an-array", "if not _varies(ratio):", "if False:", f"{MODERN}[centred: 1/n of the running mean]"),
)
bugs(
    "gradcheck/trial.py",
    ("booleans-have-no-difference", 'return ours if ours.dtype.kind == "f" else ours.astype(float)', "return ours",
     "gradcheck/test_checker.py::test_a_gradient_of_booleans_is_judged"),
)
bugs(
    "gradcheck/arrangement.py",
    ("a-sum-over-one", "if total.size == e.x.size < e.ours.size and", "if total.size == e.x.size and",
     "gradcheck/test_checker.py::test_axes_of_length_1_are_no_missing_sum"),
)
ANY_DEPTH = "data/test_sketches.py::test_a_tiff_of_any_depth_shows_the_same_lines"
bugs(
    "data/sketches.py",
    ("planes-of-half-bytes", "if not svg and is_tiff(path) and", "if False and", ANY_DEPTH + "[16 bits in planes]"),
    ("upper-bytes-alone", 'if file.mode == "RGB" and is_deep(file) else None', "if False else None",
     ANY_DEPTH + "[10 of 16 bits]"),
)
bugs(
    "data/sketches.py",
    ("dashes-for-ever", '|stroke-dasharray")', '")',
     "data/test_sketches.py::test_an_svg_of_many_strokes_is_drawn_apart_and_not_for_ever"),
    ("a-panic-ends-all", "except BaseException as error:  # of", "except Exception as error:  # of",
     "data/test_sketches.py::test_what_is_not_drawn_of_an_svg_is_said"),
    ("a-panic-is-heard", "        with hush_libraries():\n            return", "        if True:\n            return",
     "data/test_sketches.py::test_what_is_not_drawn_of_an_svg_is_said"),
    ("text-left-out-unsaid", "and LETTERS.search(read_svg(path))", "and False",
     "data/test_sketches.py::test_text_beside_lines_is_read_with_a_warning"),
)
bugs(
    "data/svg.py",
    ("no-filter-is-a-filter", "filter:(?!none\\b)", "filter:",
     "data/test_svg.py::test_what_is_no_drawing_is_one_line"),
    ("variables-are-nothing", "if VARIABLE.search(dense):", "if False:",
     "data/test_svg.py::test_what_is_coloured_by_variables_would_be_missing"),
)
bugs(
    "data/sensor_pairs.py",
    ("a-columns-comma-is-a-column", "while cells and not cells[-1]:", "while False:",
     "data/test_sensor_pairs.py::test_a_table_as_windows_and_spreadsheets_write_it[spreadsheet]"),
    ("names-with-backslashes", '.replace("\\\\", "/") for cell', " for cell",
     "data/test_sensor_pairs.py::test_a_table_as_windows_and_spreadsheets_write_it[Windows]"),
)
bugs(
    "data/geotiff.py",
    ("a-corner-for-the-centre", "c - (a + b) / 2, d, e, f - (d + e) / 2", "c, d, e, f",
     "amfmn/test_places.py::test_world_files_say_where_the_first_pixels_centre_lies[a.png-a.pgw]"),
    ("world-files-turned-over", "a, d, b, e, c, f = (float", "a, b, d, e, c, f = (float",
     "amfmn/test_places.py::test_world_files_say_where_the_first_pixels_centre_lies[a.png-a.pgw]"),
    ("the-tags-first", "(_by_aux, _by_tags, _by_world_file)", "(_by_tags, _by_aux, _by_world_file)",
     "amfmn/test_places.py::test_an_image_that_gdal_made_of_a_geotiff_lies_where_that_lies"),
)
bugs(
    "data/no_data.py",
    ("no-data-beside-a-file-is-data", "values, marks = aux_values(path), []", "values, marks = [], []",
     MARKED + "[aux.tif]"),
    ("another-bands-no-data", "(np.arange(codes.shape[2]) == band - 1)", "(np.arange(codes.shape[2]) == 0)",
     MARKED + "[aux.png]"),
    ("nan-is-no-number", "np.isnan(x) if np.isnan(value) else x == (", "x == (",
     "data/test_images.py::test_nan_that_is_no_data_is_bright[1]"),
    ("dark-ground-is-no-data", "is not None and (zero or value)]", "is not None]",
     "data/test_images.py::test_no_data_is_bright_and_counts_for_no_span[1]"),
)
bugs(
    "data/tiles.py",
    ("no-system-no-ground", "or (a.crs is None) != (b.crs is None):", "or None in (a.crs, b.crs):",
     "data/test_tiles.py::test_what_does_not_cover_the_same_ground_is_refused"),
)
bugs(
    "data/speech_features.py",
    ("an-offset-swallows-speech", "in_floats(x), labels", 'x.astype("f4"), labels',
     "data/test_speech.py::test_speech_features_keep_their_differences_beside_an_offset"),
)
bugs(
    "data/features.py",
    ("truth-has-differences", 'x.dtype.kind == "b" else x', "False else x",
     "data/test_features.py::test_features_in_matlab_73"),
)
WEIGHTS_MOVED = TRUNKS + "test_a_run_goes_on_where_its_weights_were_moved"
bugs(
    "config.py",
    ("where-weights-lie", 'name in ("start_from", "trunk_weights")', 'name == "start_from"', WEIGHTS_MOVED),
)
bugs(
    "runs.py",
    ("goes-on-with-other-weights", "check_trunk(config, folder.tensors, m, folder.path)", "pass",
     WEIGHTS_MOVED),
)
bugs(
    "doctor.py",
    ("copies-unsaid", "twice = image_copies(paths, progress=progress)", "twice = []",
     "data/test_caption_report.py::test_images_of_uc_merced_that_stand_twice_are_said_without_captions_too"),
)
UNSEEN = "test_settings.py::test_what_no_trunk_would_act_on_is_refused"
bugs(
    "config.py",
    ("views-of-no-frozen-part", 'self.trunk_training == "all" and self.trunk_views > 1', "False", UNSEEN,
     "trunk_views"),
    ("settings-of-another-trunk", 'for name in OF_LITE0 if self.trunk != "lite0" else ():', "for name in ():", UNSEEN,
     "trunk_training=last", "trunk_weights"),
)
bugs(
    "attention/settings.py",
    ("a-mean-of-maps", 'if self.attention in ("spatial", "mask") and self.stage1.average_views:', "if False:", UNSEEN,
     "stage1.average_views"),
)
bugs(
    "attention/inference.py",
    ("a-photo-that-draws-its-own-sketch", "parts.train[\"b\"], rng, own)", "parts.train[\"b\"], rng, set())",
     "attention/test_attention_system.py::test_no_photo_is_attended_by_what_was_traced_from_it"),
)
LACKED = "test_settings.py::test_what_these_data_or_networks_do_not_have_is_refused"
bugs(
    "config.py",
    ("voices-that-nobody-has", "and not recordings:", "and recordings:", LACKED),
)
bugs(
    "cmirnet/settings.py",
    ("other-voices-without-augment", "== on and not self.stage1.augment:", "== on and not self.stage1:", LACKED,
     "stage1.voices", "stage1.redraw=yes"),
    ("sketches-of-a-frozen-part-redrawn", 'if self.stage1.redraw == "yes" and', 'if self.stage1.redraw == "no" and',
     LACKED, "stage1.redraw=yes"),
)
bugs(
    "attention/settings.py",
    ("a-gate-that-is-not-there", "if self.attention not in kinds and", "if self.attention == kinds and", LACKED),
)
bugs(
    "amfmn/settings.py",
    ("maps-of-one-size-upsampled", 'self.trunk == "lite0" and self.upsampling != "nearest"', "False", LACKED,
     "upsampling=bilinear"),
    ("a-width-that-lite0-does-not-have", 'self.trunk == "lite0" and self.trunk_width != 1', "False", LACKED,
     "trunk_width"),
)
bugs(
    "demo.py",
    ("trained-parts-removed", 'if not any(out.glob("*/checkpoint.safetensors")):', "if True:",
     "test_demo.py::test_what_is_trained_stays_whatever_ends_a_demo"),
)
TABLE = "test_cli.py::test_a_table_that_cannot_be_written_is_said_before_the_training"
bugs(
    "cli/training.py",
    ("marks-unread-before-a-training", "check_marks(write, [name])", "pass", TABLE),
    ("marks-unread-before-a-demo", "check_marks(write, presets.values())", "pass", TABLE),
)
bugs(
    "cmirnet/system.py",
    ("softened-without-a-stage-1", "if softened and not any(", "if softened and not all(",
     "test_settings.py::test_labels_are_softened_where_a_stage_learns_from_them", "stage1.mix_up",
     "stage1.label_smoothing"),
)
TRACED = "attention/test_mixed_gallery.py::test_no_photo_is_attended_by_any_sketch_that_was_traced_from_it"
bugs(
    "attention/inference.py",
    ("the-last-of-several-traced", "apart[apart[:, 0] == row, 1])", "apart[apart[:, 0] == row, 1][-1:])", TRACED),
    ("photos-of-all-sketches-redrawn", "np.flatnonzero(traced < len(sketches))", "np.arange(count)", TRACED),
)
bugs(
    "data/pairs.py",
    ("no-partner-of-any-unsaid", "in own for j in candidates):", "in own for j in candidates[:0]):",
     "attention/test_mixed_gallery.py::test_a_photo_from_which_all_were_traced_has_no_partner"),
)
bugs(
    "training/folder.py",
    ("curves-of-another-run", "and history_digest(lines[:count]) != known:", "and False:",
     "test_runs.py::test_the_log_of_another_run_is_not_taken"),
    ("a-lost-checkpoint-unsaid", "if len(read_history(path)) > 1:", "if False:",
     "test_runs.py::test_a_run_without_its_checkpoint_is_not_trained_anew_in_silence"),
)
bugs(
    "reports/markdown.py",
    ("line-ends-lost", 'after]).replace("\\n", ends))', "after]))",
     "reports/test_spread.py::test_lines_end_as_they_did"),
)
bugs(
    "cmirnet/settings.py",
    ("idle-where-there-are-sounds", '"recordings", "sound" not in kinds', '"recordings", "sound" in kinds',
     "test_settings.py::test_no_setting_is_called_idle_where_it_acts[stage1.voices]", "stage1.voices"),
    ("idle-by-another-weight", '"eq. 7, whose weight is 0", not self.weights.regulariser',
     '"eq. 7, whose weight is 0", not self.weights.contrastive',
     "test_settings.py::test_no_setting_is_called_idle_where_it_acts[alpha]", "alpha"),
)
bugs(
    "reports/terminal.py",
    ("idle-in-silence", 'if what else ""', 'if not what else ""',
     "test_cli.py::test_what_changes_nothing_is_said"),
)
HANDS = "training/test_redraw.py::test_"
bugs(
    "training/augment.py",
    ("echoes-of-halls", "np.exp(-13.8 * 0.01", "np.exp(-6.9 * 0.01",
     AGAIN + "echoes_fall_by_60_db_in_a_tenth_to_six_tenths_of_a_second", "stage1.voices"),
    ("gaps-as-wide-as-all", "rng.uniform(0, (size, widest), (n, 2)).T", "rng.uniform(0, (widest, size), (n, 2)).T",
     AGAIN + "gaps_lie_anywhere_and_are_up_to_12_frames_and_8_bands_wide", "stage1.voices"),
    ("gaps-of-the-other-axis", '(("frame", frames, 12), ("band", bands, 8))',
     '(("frame", bands, 12), ("band", frames, 8))',
     AGAIN + "gaps_lie_anywhere_and_are_up_to_12_frames_and_8_bands_wide", "stage1.voices"),
    ("never-early", "rng.uniform(-8, 8, n), rng.uniform(-2, 2, n)", "rng.uniform(0, 8, n), rng.uniform(-2, 2, n)",
     AGAIN + "a_voice_is_as_often_early_as_late_low_as_high_quick_as_slow", "stage1.voices"),
    ("small-by-a-fine-pen", "np.where(size < 0.8, 1,", "np.where(size > 0.8, 1,",
     HANDS + "pens_are_any_but_for_small_drawings_and_up_to_three_spots_are_wiped_off_every_second_one",
     "stage1.redraw=yes"),
    ("two-spots-at-most", "rng.integers(0, 4, n) * (rng", "rng.integers(0, 3, n) * (rng",
     HANDS + "pens_are_any_but_for_small_drawings_and_up_to_three_spots_are_wiped_off_every_second_one"),
    ("wiped-off-every-one", "rng.integers(0, 4, n) * (rng.random(n) < 0.5)", "rng.integers(0, 4, n)",
     HANDS + "pens_are_any_but_for_small_drawings_and_up_to_three_spots_are_wiped_off_every_second_one"),
    ("spots-on-the-diagonal", "*middle[0].T, *middle[1].T,", "*middle[0].T, *middle[0].T,",
     HANDS + "pens_are_any_but_for_small_drawings_and_up_to_three_spots_are_wiped_off_every_second_one"),
    ("all-moved-alike-far", " * (1 - 0.5 * size) * 2", "", HANDS + "hands_move_small_drawings_farther"),
    ("never-mirrored", "mirror = rng.choice([-1.0, 1.0], n)", "mirror = np.ones(n)",
     HANDS + "hands_turn_mirror_and_shrink_evenly"),
    ("half-turns", "rng.uniform(0, 2 * math.pi, n)", "rng.uniform(0, math.pi, n)",
     HANDS + "hands_turn_mirror_and_shrink_evenly"),
    ("no-turn-but-a-shear", "-np.sin(angle) * mirror, np.sin(angle)", "np.sin(angle) * mirror, np.sin(angle)",
     HANDS + "hands_turn_mirror_and_shrink_evenly"),
    ("a-spot-wiped-off-everywhere", "& (spots > k)", "& (spots >= k)",
     HANDS + "each_is_redrawn_by_its_own_numbers", "stage1.redraw=yes"),
    ("paper-of-another-sheet", "paper = sketches.min(axis=(1, 2), keepdims=True)", "paper = sketches.min()",
     HANDS + "each_is_redrawn_by_its_own_numbers"),
    ("half-a-pixel-lower", "rows = (yy * dy + yx * dx + 0.5) * height - 0.5",
     "rows = (yy * dy + yx * dx + 0.5) * height", HANDS + "each_is_redrawn_by_its_own_numbers"),
    ("moved-across-for-down", "y - 0.5 - down, x - 0.5 - right", "y - 0.5 - right, x - 0.5 - down",
     HANDS + "each_is_redrawn_by_its_own_numbers"),
)
RANKED = "test_ranking.py::test_"
EVERYTHING_BUT = RANKED + "examples_and_rankings_hold_everything_but_the_query"
ROUND = RANKED + "queries_that_are_shown_go_round_the_classes_and_each_comes_once"
bugs(
    "ranking.py",
    ("another-query-s-neighbours", "{name: a[order] for name, a in test", "{name: a[: len(order)] for name, a in test",
     EVERYTHING_BUT),
    ("ranks-from-0", "zip(samples, distances, strict=True), start=1)", "zip(samples, distances, strict=True))",
     EVERYTHING_BUT),
    ("a-query-of-two-labels-shown-twice", "and r not in order][:1]", "][:1]", ROUND),
    ("no-more-queries-than-classes", "return order + [r for r in rows if r not in order]", "return order", ROUND),
    ("right-by-the-order-of-the-hits", "dict(zip(gallery.samples(), relevant", "dict(zip(samples, relevant",
     RANKED + "what_is_relevant_is_so_in_any_order_of_both_modalities"),
    ("pages-of-the-run-s-gallery-alone", "count=count, gallery=gallery) for d", "count=count) for d",
     RANKED + "galleries_are_examples_of_every_direction"),
)
OF_A_FOLDER = RANKED + "a_folder_of_all_recordings_finds_what_they_find_and_is_found_by_what_finds_them"
bugs(
    "search.py",
    ("a-folder-in-the-run-s-gallery-alone", "items_of(run, other, gallery or run.config.gallery)",
     "items_of(run, other, run.config.gallery)", OF_A_FOLDER),
    ("a-folder-one-way", "for p, q in ((m, other), (other, m)):", "for p, q in ((m, other),) * 2:", OF_A_FOLDER),
    ("classes-of-what-is-searched", "query_labels=query_labels,\n                label_names",
     "query_labels=searched_labels,\n                label_names", OF_A_FOLDER),
    ("no-ten-tens-of-a-folder", "ten_tens=SCENARIOS[run.config.scenario].ten_tens,", "ten_tens=False,", OF_A_FOLDER),
)
PHOTO_SKETCH = "attention/test_attention_system.py::test_"
bugs(
    "attention/stage2.py",
    ("any-sketch-for-all", "others.random(len(index)) < 0.5", "others.random(len(index)) < 1.5",
     PHOTO_SKETCH + "half_of_the_photos_are_attended_by_any_sketch_of_the_training_part"),
    ("any-sketch-of-the-batch", 'anyone = others.choice(parts.train["b"], len(index))',
     "anyone = others.choice(index[:, 1], len(index))",
     PHOTO_SKETCH + "half_of_the_photos_are_attended_by_any_sketch_of_the_training_part"),
    ("the-same-sketches-each-epoch", 'generator(seed, "stage2/contexts", epoch)', 'generator(seed, "stage2/contexts")',
     PHOTO_SKETCH + "half_of_the_photos_are_attended_by_any_sketch_of_the_training_part"),
    ("gate-stands-still-in-turn", 'turns and (("gate.", *turns[0]), turns[1]),', "turns,",
     PHOTO_SKETCH + "in_turn_the_attention_moves_with_the_photo_s_branch", "update=alternating"),
    ("attended-nan-is-the-best", '"score": 0.0}', '"score": 1.0}',
     PHOTO_SKETCH + "embeddings_that_are_no_longer_finite_are_the_worst"),
)
bugs(
    "cmirnet/stage2.py",
    ("epoch-chosen-by-another-distance", 'v[q], y[q], distance=settings.distance)["map"]', 'v[q], y[q])["map"]',
     STAGES + "test_the_epoch_is_chosen_by_what_the_run_is_evaluated_with[cosine-separate]", "distance=cosine"),
    ("embedded-nan-is-the-best", '"score": 0.0}', '"score": 1.0}',
     STAGES + "test_embeddings_that_are_no_longer_finite_are_the_worst"),
)
BASELINES = "hashing/test_hashing_baselines.py::test_"
bugs(
    "hashing/comparators.py",
    ("a-bit-too-few", "math.ceil(math.log2(u_a.shape[1]))", "int(math.log2(u_a.shape[1]))",
     BASELINES + "the_most_probable_class_takes_the_bits_that_tell_classes_apart"),
    ("bits-of-no-label-counted", "[: fit.supervised].sum()", ".sum()",
     BASELINES + "bits_beyond_the_labels_are_not_counted_as_theirs"),
    ("one-seed-for-all-cells", "settings._replace(bits=bits, seed=seed)", "settings._replace(bits=bits)",
     BASELINES + "a_network_follows_the_seed_of_its_cell"),
)
bugs(
    "reports/spread.py",
    ("recall-in-each-row", "(recall if i == 0 else", "(recall if i >= 0 else",
     "reports/test_spread.py::test_mean_recall_is_of_all_directions_and_stands_in_the_first_row"),
    ("worst-recall-is-the-mean", 'number(found["mr"]["worst"], ".3f")', 'number(found["mr"]["mean"], ".3f")',
     "reports/test_spread.py::test_mean_recall_is_of_all_directions_and_stands_in_the_first_row"),
)
bugs(
    "data/captions.py",
    ("an-image-of-uc-merced-in-any-folder", "known = name and name[1] == path.parent.name and", "known = name and",
     "data/test_captions.py::test_what_is_numbered_as_an_image_of_uc_merced"),
)
KEPT = "retrieval/test_neighbours.py::test_a_kept_gallery_gives_what_its_embeddings_give"
IN_UNITS = "retrieval/test_neighbours.py::test_distances_are_in_the_units_of_the_embeddings"
bugs(
    "retrieval/distances.py",
    ("angles-in-units-of-the-scale", "level * (0.5 * space.unit * space.scale**2)", "level * (0.5 * space.unit)",
     IN_UNITS, "distance=cosine", "distance_of"),
    ("released-as-euclidean-in-units", "space.unit * space.scale**0.75", "space.unit * space.scale", IN_UNITS,
     "distance=released", "distance_of"),
    ("squares-scaled-once", "square=side.square * f * f)", "square=side.square * f)", KEPT, "distance=released",
     "nearest"),
    ("last-bit-of-the-gallery-alone", "last_bit = max(last_bit, side.last_bit)", "last_bit = side.last_bit",
     DISTANCES + "test_embeddings_that_differ_in_their_last_bits_tie_and_others_do_not", "prepare"),
)
bugs(
    "retrieval/metrics.py",
    ("recalls-of-what-is-excluded", "tie_groups(distance, recalled(rows), excluded)",
     "tie_groups(distance, recalled(rows))", ANY + "test_recalls_of_partners_beside_the_precision_of_labels",
     "measure_direction"),
)
bugs(
    "hashing/fit.py",
    ("losses-added-up", "float(to_host(sum(batch_losses))) / len(batch_losses)", "float(to_host(sum(batch_losses)))",
     EPOCHS),
)
bugs(
    "data/splits.py",
    ("traced-by-its-own-number", "own[np.isin(photo, part)]) for", "own[np.isin(own, part)]) for",
     "data/test_splits_and_pairs.py::test_what_was_traced_follows_its_photo_whatever_their_order"),
)
bugs(
    "data/validation.py",
    ("one-alone-has-labels", "& (hot_a.any(axis=1) | hot_b.any(axis=1))", "& hot_a.any(axis=1) & hot_b.any(axis=1)",
     "data/test_validation.py::test_a_pair_of_which_one_alone_has_labels"),
)
bugs(
    "places.py",
    ("pixels-cut-off", "np.rint(resize_image(part, size)[0])", "resize_image(part, size)[0]",
     PLACE + "a_pixel_of_a_larger_slice_is_the_nearest_whole_number_to_its_mean"),
    ("stages-look-in-all-directions", "for name, part in settings if isinstance(part, BaseModel)",
     "for name, part in ()", PLACE + "slices_are_looked_at_once_by_the_networks_of_stage_1_too"),
)
bugs(
    "retrieval/sieve.py",
    ("ties-left-behind", "2 * error + space.unit)", "2 * error)",
     SIEVE + "changes_nothing[ties by last bits-10-False]", "nearest"),
)
bugs(
    "retrieval/neighbours.py",
    ("sieved-with-too-few-groups", "128 * (k + _most(exclude)) <= items", "128 * k <= items",
     SEVERAL + "more_may_be_excluded_than_the_sieve_has_groups", "nearest"),
)
bugs(
    "retrieval/ties.py",
    ("chance-in-another-query-s-gallery", "groups.items[row], groups.total[row]\n", "groups.items, groups.total[row]\n",
     ANY + "test_recalls_of_partners_beside_the_precision_of_labels", "measure_direction"),
)
bugs(
    "search.py",
    ("files-of-a-folder-are-samples", "np.array([-1 if row is None else row for row in rows])", "np.arange(len(rows))",
     PHOTO_SKETCH + "a_file_finds_photos_and_a_folder_is_evaluated[mean]"),
)
bugs(
    "data/class_names.py",
    ("and-0-more", "if len(left) > 3 else", "if len(left) >= 3 else",
     "data/test_class_names.py::test_what_one_side_lacks_is_said_with_three_names_at_the_most"),
)
bugs(
    "training/inputs.py",
    ("one-row-counted-twice", "rows == rest == 1", "rows == 1",
     "training/test_inputs.py::test_the_batches_of_any_number_of_rows_are_counted"),
    ("left-over-row-counted", "(rest > 1 or rows == rest == 1)", "(rest > 0)",
     "training/test_inputs.py::test_the_batches_of_any_number_of_rows_are_counted"),
)
SLOPES = "gradcheck/test_slopes.py::test_"
bugs(
    "gradcheck/slopes.py",
    ("far-on-one-side-alone", "(evaluate(x + FAR * h * direction), evaluate(x - FAR * h * direction))",
     "(evaluate(x + FAR * h * direction),)", SLOPES + "still_is_what_no_step_moves_however_far_to_either_side"),
    ("unseen-taken-for-still", "depends[:] = True\n", "\n", SLOPES + "what_raises_far_away_is_not_still"),
    ("noise-measured-at-x", "for k in range(1, 10)]", "for k in range(9)]",
     SLOPES + "a_kink_or_a_jump_at_x_is_not_noise"),
    ("contradiction-not-heard", " or contradicts:", ":",
     SLOPES + "the_derivative_is_within_the_estimated_error[a wave that wide steps go past-each output]"),
    ("search-ends-at-wide-steps", "size / 100 or np.inf", "np.inf",
     SLOPES + "the_derivative_is_within_the_estimated_error[a bump about a small number-each output]"),
    ("any-jump-is-a-kink", "size > 10 * unsure", "size > unsure",
     SLOPES + "the_derivative_is_within_the_estimated_error[a bend like a kink-each output]"),
)
bugs(
    "gradcheck/numeric.py",
    ("one-step-for-all-sizes", "h = step * shrink * max(1.0, abs(arrays[which][index]))", "h = step * shrink",
     "gradcheck/test_checker.py::test_a_central_difference_of_large_numbers_takes_large_steps"),
    ("two-points-far-apart", "(8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)",
     "(values[0] - values[1]) / (2 * h)",
     "gradcheck/test_checker.py::test_where_a_large_value_hides_two_points_four_are_taken_farther_apart"),
)
bugs(
    "training/inputs.py",
    ("loudest-band-of-the-batch", "loud.max(axis=1, keepdims=True) -", "loud.max() -",
     AGAIN + "each_band_has_mean_0_where_something_is_said"),
    ("one-batch-ahead", "for _ in range(waiting)", "for _ in range(1)",
     "training/test_inputs.py::test_batches_are_made_ahead_and_in_order"),
)
bugs(
    "gradcheck/compare.py",
    ("stops-at-the-first-doubt", "if stop and not right:", "if stop:",
     "gradcheck/test_checker.py::test_a_mistake_is_found_beside_a_larger_difference_that_is_right[complex-step]"),
    ("what-stays-is-rounding", "right = not stays and gap <= trial.rounding", "right = gap <= trial.rounding",
     "gradcheck/test_checker.py::test_a_mistake_that_stays_is_no_rounding_of_a_large_value_along_a_direction"),
    ("too-little-at-ties-is-wrong", " and abs(total) > abs(slope.value)", "",
     "gradcheck/test_judgement.py::test_at_a_kink_any_gradient_between_the_slopes_is_right"
     "[maximum, to none of several winners]"),
)
EIGHTHS = "data/test_images.py::test_a_span_is_in_eighths_of_the_power_of_two_that_holds_the_values"
bugs(
    "data/images.py",
    ("quarters-at-a-power-of-two", "(exponent - 3 - (mantissa == 0.5))", "(exponent - 3)", EIGHTHS),
    ("the-largest-value-cut", "math.ceil((high + unit) / step)", "math.ceil(high / step)", EIGHTHS),
    ("one-value-has-no-span", "return Span(min(low, 0.0), max(low, 0.0))", "return Span(low, high)",
     "data/test_images.py::test_the_span_of_one_value_is_from_0_to_it"),
    ("copies-of-another-shape", 'f"{pixels.shape}".encode() + pixels.tobytes()', "pixels.tobytes()",
     "data/test_images.py::test_copies_have_the_same_pixels_and_the_same_shape"),
)
bugs(
    "data/stemming.py",
    ("y-as-another-consonant", '"wxy"', '"wx"', "data/test_captions.py::test_stems_are_nltks"),
)
bugs(
    "data/caption_report.py",
    ("one-image-counted-twice", "for text in set(of_image) if text)", "for text in of_image if text)",
     "data/test_caption_report.py::test_a_text_that_one_image_has_twice_is_of_one_image"),
)
bugs(
    "data/vocabulary.py",
    ("what-the-lexicon-lacks-is-learned", "keep[[0, BAR, len(lexicon) + 2]] = False", "keep[[0, BAR]] = False",
     "data/test_captions.py::test_only_words_of_the_given_captions_are_learned"),
)
bugs(
    "search.py",
    ("keywords-in-place-of-the-sentence", '" | ".join([sentence or "", *phrases]).strip()',
     '" | ".join(["", *phrases]).strip()',
     "amfmn/test_amfmn_system.py::test_a_sentence_and_keywords_are_one_text"),
)
bugs(
    "search.py",
    ("read-as-the-first-of-two-sensors", "fits = [m for m in fits if is_known(run, m, query)] or same_bands",
     "fits = same_bands",
     "cmirnet/test_sensor_pairs_run.py::test_of_two_sensors_with_the_same_bands_an_image_is_of_the_one_that_has_it"),
)
bugs(
    "ranking.py",
    ("a-place-that-is-no-number", "if place and not np.isfinite(place[0]):", "if False:",
     RANKED + "a_sample_whose_place_is_not_known_is_shown_without_one"),
)
JUDGED = "gradcheck/test_judgement.py::test_"
bugs(
    "gradcheck/judgement.py",
    ("complex-step-alone-at-kinks", "by_slopes.off & by_slopes.kinks", "by_slopes.off & False",
     JUDGED + "beside_kinks_mistakes_are_found_and_named[leaky, both slopes at 0]"),
    ("missing-term-told-first", "finding.kind is None, finding.kind in LEADS_LESS_FAR)", "finding.kind is None,)",
     JUDGED + "what_leads_to_the_mistake_is_told_before_a_term_that_is_missing"),
)
bugs(
    "gradcheck/regularity.py",
    ("one-call-for-chance", "trial.call(trial.inputs)[0])) for _ in range(4))",
     "trial.call(trial.inputs)[0])) for _ in range(1))", JUDGED + "a_forward_that_is_random_now_and_then_is_found"),
)
bugs(
    "gradcheck/trial.py",
    ("jumps-above-alone", "for step in (-1e-9, 1e-9):", "for step in (1e-9,):",
     JUDGED + "labels_with_a_gradient_of_zeros_are_held[cast to whole numbers]"),
)
bugs(
    "gradcheck/step_sizes.py",
    ("zeros-divided-by", " or 1.0\n\n        def", "\n\n        def",
     "gradcheck/test_step_sizes.py::test_a_gradient_of_zeros_has_no_error_at_any_step"),
)
bugs(
    "data/speech.py",
    ("first-channel-for-the-loudest", "centred[:, energy.argmax()]", "centred[:, 0]",
     "data/test_speech.py::test_any_channels_sound_like_one[shares4]"),
    ("quiet-mixes-taken-for-cancelled", "channels.shape[1] ** 2", "channels.shape[1]",
     "data/test_speech.py::test_any_channels_sound_like_one[shares5]"),
)
OUTLINES = "data/test_outlines.py::test_"
bugs(
    "data/outlines.py",
    ("weak-edges-kept-alone", "labels[ridge & (strength >= sure)]", "labels[ridge & (strength >= weak)]",
     OUTLINES + "a_weak_edge_that_touches_no_strong_one_is_none"),
    ("shortest-first", "np.argsort(-weight[1:])", "np.argsort(weight[1:])",
     OUTLINES + "strokes_take_the_longest_edge_that_is_not_left_out_until_there_is_ink_enough"),
    ("none-left-out", "if rng.random() < 0.15:", "if rng.random() < 0.0:",
     OUTLINES + "strokes_take_the_longest_edge_that_is_not_left_out_until_there_is_ink_enough"),
    ("ink-counted-in-strokes", "ink += sizes[stroke]", "ink += 1",
     OUTLINES + "strokes_take_the_longest_edge_that_is_not_left_out_until_there_is_ink_enough"),
    ("budget-of-the-area", "budget * len(edges)", "budget * edges.size",
     OUTLINES + "strokes_take_the_longest_edge_that_is_not_left_out_until_there_is_ink_enough"),
    ("one-hand-for-all-photos", 'generator(seed, "outlines", number)', 'generator(seed, "outlines")',
     OUTLINES + "each_photo_is_drawn_by_another_hand"),
)
bugs(
    "data/sketches.py",
    ("areas-of-whole-pixels", "np.arange(size) * side // size", "np.arange(size) * (side // size)",
     "data/test_sketches.py::test_each_pixel_of_a_smaller_sheet_is_the_maximum_over_its_area"),
    ("measured-by-a-speck", "[-max(4, difference.size // 1000) :]", "[-1:]",
     "data/test_sketches.py::test_ink_is_measured_by_the_strongest_strokes_and_not_by_a_speck"),
    ("light-ink-for-dark", "(sheet - paper).sum(axis=2) > 0", "(sheet - paper).sum(axis=2) < 0",
     "data/test_sketches.py::test_ink_is_measured_by_the_strongest_strokes_and_not_by_a_speck"),
    ("drawings-lie-on-their-side", "image = ImageOps.exif_transpose(file)", "image = file",
     "data/test_sketches.py::test_a_photo_of_a_drawing_stands_upright"),
)

DRAWN = "test_runs.py::test_nothing_is_drawn_from_the_random_numbers_of_something_else"
BEGUN = STAGES + "test_what_a_network_begins_with_is_as_the_settings_ask[{}-{}]"
BUILT = STAGES + "test_a_pretrainer_is_built_as_the_settings_ask"
bugs(
    "cmirnet/stage1.py",
    ("all-seeds-begin-alike", 'generator(settings.seed, f"{name}/init")', 'generator(0, f"{name}/init")',
     DRAWN + "[separate]"),
    ("both-modalities-drop-the-same", 'generator(settings.seed, f"{name}/dropout", epoch)',
     'generator(settings.seed, "stage1/dropout", epoch)', DRAWN + "[two of a kind]"),
    ("both-modalities-are-turned-alike", 'generator(settings.seed, f"{name}/augment", epoch)',
     'generator(settings.seed, "stage1/augment", epoch)', DRAWN + "[two of a kind]"),
    ("biases-not-as-asked", "settings.d_z, classes, rng, settings.bias_init)", "settings.d_z, classes, rng)",
     BEGUN.format("separate", "pictures")),
    ("usual-dropout-in-the-network", "dropout=settings.stage1.dropout,\n        hidden", "hidden", BUILT),
    ("usual-dropout-behind-a-trunk", "TrunkPretrainer(LITE0, first, dropout=settings.stage1.dropout)",
     "TrunkPretrainer(LITE0, first)", BUILT),
    ("always-fused", "fused=settings.fused,\n", "", BUILT),
)
bugs(
    "cmirnet/stage2.py",
    ("all-seeds-begin-alike", 'generator(settings.seed, "latent/init")', 'generator(0, "latent/init")',
     DRAWN + "[separate]"),
    ("both-modalities-are-turned-alike", 'generator(seed, f"stage2/augment/{m}", epoch)',
     'generator(seed, "stage2/augment", epoch)', DRAWN + "[end to end]"),
    ("features-dropped-by-the-masks-of-dropout", 'generator(seed, "stage2/features", epoch)',
     'generator(seed, "stage2/dropout", epoch)', DRAWN + "[separate]"),
    ("fronts-begin-alike", 'init_pretrainer(settings, f"front_{m}", shape, classes)',
     'init_pretrainer(settings, "front", shape, classes)', DRAWN + "[end to end]"),
    ("biases-along-with-fronts-not-as-asked", "(settings.d_z,) * len(shapes), classes, rng, settings.bias_init)",
     "(settings.d_z,) * len(shapes), classes, rng)", BEGUN.format("end-to-end", "features")),
)
bugs(
    "cmirnet/latent.py",
    ("biases-not-as-asked", "return dense(shapes, rng, bias_init), {}", "return dense(shapes, rng), {}",
     BEGUN.format("separate", "features")),
)
bugs(
    "nets/conv_pretrainer.py",
    ("biases-of-kernels-not-as-asked", "bias(rng, d, bias_init)", 'bias(rng, d, "zero")',
     BEGUN.format("separate", "pictures")),
    ("largest-pool-first", "128: (2, 4, 4)", "128: (4, 4, 2)",
     "nets/test_conv_pretrainer.py::test_the_largest_pool_comes_last"),
)
bugs(
    "nets/feature_pretrainer.py",
    ("biases-not-as-asked", "return dense(shapes, rng, bias_init), {}", "return dense(shapes, rng), {}",
     BEGUN.format("separate", "features")),
)
bugs(
    "nets/trunk_pretrainer.py",
    ("biases-not-as-asked", '"classifier": (features, classes)}, rng, bias_init)',
     '"classifier": (features, classes)}, rng)',
     "nets/test_trunk_pretrainer.py::test_without_weights_it_begins_at_random"),
)
bugs(
    "nets/pretraining.py",
    ("usual-dropout-behind-convolutions", "batch_norm=batch_norm, dropout=dropout, fused",
     "batch_norm=batch_norm, fused",
     "nets/test_pretrainers.py::test_which_pretrainer_a_modality_gets"),
)
bugs(
    "nets/efficientnet_lite.py",
    ("statistics-change-places", 'f"{name}.mean": norm.mean, f"{name}.var": norm.var',
     'f"{name}.mean": norm.var, f"{name}.var": norm.mean',
     LITE + "test_layer_by_layer"),
    ("narrow-strided-block-has-a-shortcut", "block.stride == 1 and block.channels == block.out",
     "block.channels == block.out",
     LITE + "test_widths_and_depths_of_the_family"),
    ("kernels-begin-too-small", "fan_in=math.prod(shape[:-1])", "fan_in=math.prod(shape)",
     LITE + "test_a_kernel_begins_by_how_many_numbers_it_adds_up"),
)
OTHER_SETTINGS = "cmirnet/test_many_training.py::test_for_two_it_takes_the_steps_of_stage_2"
bugs(
    "cmirnet/many_training.py",
    ("biases-not-as-asked", 'generator(config.seed, "latent/init"), config.bias_init)',
     'generator(config.seed, "latent/init"))', OTHER_SETTINGS),
    ("validated-by-euclid", "own, distance=config.distance)", "own)", OTHER_SETTINGS),
    ("order-of-seed-0", "schedule.batch_size, config.seed,", "schedule.batch_size, 0,", OTHER_SETTINGS),
    ("diverging-names-no-stage", 'lr_setting="stage2.lr"', 'lr_setting="lr"',
     "cmirnet/test_many_training.py::test_weights_that_are_not_finite_score_nothing"),
)
bugs(
    "cmirnet/many.py",
    ("contrast-left-out", "contrast=contrast,\n", "", OTHER_SETTINGS),
)
bugs(
    "cmirnet/contrastive.py",
    ("another-usual-temperature", "temperature: float = 0.1, reduction", "temperature: float = 1.0, reduction",
     "cmirnet/test_contrastive.py::test_it_is_off_unless_asked_for"),
)
bugs(
    "cmirnet/published.py",
    ("directions-change-places", '"a->b": (99.05, 99.40), "b->a": (98.93, 98.60)',
     '"a->b": (98.93, 98.60), "b->a": (99.05, 99.40)', "cmirnet/test_published.py::test_table_1"),
    ("directions-of-scm-change-places", '"a->b": 34.72, "b->a": 36.71', '"a->b": 36.71, "b->a": 34.72',
     "cmirnet/test_published.py::test_table_2"),
    ("digits-change-places", "(32.09, 52.77)", "(32.90, 52.77)", "cmirnet/test_published.py::test_tables_3_and_4"),
    ("bars-change-places", '"L5": {"tiles": 12.40, "places": 7.88}', '"L5": {"tiles": 7.88, "places": 12.40}',
     "cmirnet/test_published.py::test_figures_3_and_4"),
)
bugs(
    "cmirnet/system.py",
    ("pairs-of-seed-0", 'generator(settings.seed, "pairs", epoch)', 'generator(0, "pairs", epoch)',
     DRAWN + "[separate]"),
    ("only-zeros-are-dead", "v_m.max(axis=0) == v_m.min(axis=0)", "v_m.max(axis=0) == 0",
     "test_collapse.py::test_a_unit_that_never_varies_is_dead_whatever_its_value_and_each_encoder_matrix_has_a_norm"),
    ("last-matrix-has-no-norm", "range(1, run.config.encoder_depth + 1)", "range(1, run.config.encoder_depth)",
     "test_collapse.py::test_a_unit_that_never_varies_is_dead_whatever_its_value_and_each_encoder_matrix_has_a_norm"),
)
bugs(
    "training/loop.py",
    ("rate-of-the-schedule-alone", "    if task.rate:\n        return task.rate(step)\n", "",
     LOOP + "test_a_task_can_have_a_learning_rate_of_its_own"),
    ("entries-in-the-order-of-a-file", "dict(sorted(arrays.items()))", "dict(arrays)",
     "training/test_folder.py::test_a_later_sitting_ends_where_one_alone_would_have[stage1.a-1-0.0]"),
)
FOLDER = "training/test_folder.py::test_"
bugs(
    "training/folder.py",
    ("statistics-of-the-last-epoch", "in best.best_buffers.items()", "in best.buffers.items()",
     FOLDER + "a_stage_leaves_the_weights_and_the_statistics_of_its_best_epoch"),
    ("done-in-the-last-epoch", "np.array([best.best_epoch])", "np.array([best.epoch])",
     FOLDER + "a_stage_leaves_the_weights_and_the_statistics_of_its_best_epoch"),
    ("means-begin-anew", "fields[mean] = fields[mean] or by_name(fields[now])", "fields[mean] = by_name(fields[now])",
     FOLDER + "a_later_sitting_ends_where_one_alone_would_have[stage2-3-0.9]"),
    ("bar-begins-anew", "task.schedule.epochs, state.epoch) if watch", "task.schedule.epochs, 0) if watch",
     FOLDER + "a_later_sitting_ends_where_one_alone_would_have[stage1.a-3-0.0]"),
    ("time-of-the-last-sitting", 'self.seconds = float(metadata["seconds"])', "pass",
     FOLDER + "the_time_of_all_sittings_is_added_up"),
    ("time-of-the-last-epoch", "self.seconds + now - self.started, now", "now - self.started, now",
     FOLDER + "the_time_of_all_sittings_is_added_up"),
    ("marked-log-loses-a-line", 'encoding="utf-8-sig"', 'encoding="utf-8"',
     FOLDER + "a_log_that_an_editor_marked_as_utf_8_is_read"),
)
bugs(
    "training/inputs.py",
    ("one-view-of-a-sketch", 'elif self.kind in ("image", "sketch"):', 'elif self.kind == "image":',
     INPUTS + "test_every_view_of_turned_features_of_images_and_of_vectors"),
)
bugs(
    "training/augment.py",
    ("earlier-for-later", "xp.arange(frames)[:, None] - later", "xp.arange(frames)[:, None] + later",
     INPUTS + "test_a_shifted_sound_keeps_its_edges_and_its_place"),
    ("lower-for-higher", "xp.arange(bands) - higher", "xp.arange(bands) + higher",
     INPUTS + "test_a_shifted_sound_keeps_its_edges_and_its_place"),
    ("pale-colours", "rng.normal(0, 4, n) for k", "rng.normal(0, 1, n) for k",
     "training/test_say_again.py::test_a_voice_is_as_often_early_as_late_low_as_high_quick_as_slow"),
)
SUMMED_UP = "cmirnet/test_end_to_end.py::test_the_objective_of_the_fronts_features_and_back[fronts3-{}]"
bugs(
    "cmirnet/end_to_end.py",
    ("contrast-left-out", "contrast=contrast,\n", "", SUMMED_UP.format("train")),
    ("all-layers-regularised", "regularized_layers=regularized_layers,\n", "", SUMMED_UP.format("train")),
    ("always-in-training", "mode=mode,\n        masks=masks,", "masks=masks,", SUMMED_UP.format("inference")),
)
VIEWED = STAGES + "test_an_image_is_stored_and_sought_as_the_mean_of_its_views"
bugs(
    "cmirnet/stage2.py",
    ("labels-of-the-partner", "labels[m][rows[m].there] for m in sources",
     'labels["a"][rows["a"].there] for m in sources', STAGES + "test_each_sample_of_a_pair_comes_with_its_own_labels"),
    ("loss-of-a-shared-classifier", "classifier=settings.classifier,\n        label_losses", "label_losses",
     STAGES + "test_the_loss_knows_which_classifier_the_network_has[separate]"),
    ("one-view-of-an-image", "source, index, xp, average_views=average_views\n    )", "source, index, xp\n    )",
     VIEWED + "[end-to-end]"),
    ("statistics-stand-still", "end_to_end_backward(1.0, cache), cache.statistics",
     "end_to_end_backward(1.0, cache), {}",
     VIEWED + "[end-to-end]"),
)
bugs(
    "cmirnet/system.py",
    ("embeddings-of-one-view", "rows, views = np.arange(len(source.x)), looks_often(settings, source.kind)",
     "rows, views = np.arange(len(source.x)), False", VIEWED + "[end-to-end]"),
    ("query-of-one-view", "xp, average_views=views)\n        made[f\"z.{m}\"]", "xp)\n        made[f\"z.{m}\"]",
     VIEWED + "[separate]"),
    ("infinite-embeddings-are-stored", "if not all(np.isfinite(array).all() for array in v.values()):", "if not v:",
     STAGES + "test_embeddings_that_the_last_step_made_infinite_are_not_stored"),
)
bugs(
    "cmirnet/stage1.py",
    ("diverging-names-no-stage", 'lr_setting="stage1.lr"', 'lr_setting="lr"',
     STAGES + "test_a_run_that_diverges_says_where[stage1.a-stage1.lr]"),
)
bugs(
    "cmirnet/system.py",
    ("trunk-makes-no-features", 'as_read(settings, modality).kind != "features"', 'modality.kind != "features"',
     "cmirnet/test_trunk_stages.py::test_what_a_frozen_trunk_makes_are_features_of_which_some_can_be_dropped"),
)
bugs(
    "nets/conv_pretrainer.py",
    ("fused-whatever-is-asked", "fused=arch.fused,\n", "",
     "nets/test_conv_pretrainer.py::test_fused_and_plain_train_alike"),
    ("usual-slope", "slope=arch.slope,\n", "",
     "nets/test_conv_pretrainer.py::test_three_blocks_step_by_step[conv-act-norm-pool-train-False]"),
)
bugs(
    "nets/conv_maps.py",
    ("fused-whatever-is-asked", "slope=arch.slope, fused=arch.fused", "slope=arch.slope",
     "amfmn/test_amfmn_features.py::test_every_block_behind_the_first_ones_gives_a_map[0]"),
)
bugs(
    "cmirnet/system.py",
    ("validated-by-pairs-whatever-the-labels", "None if data.label_names else data.pairing", "data.pairing",
     STAGES + "test_pairs_that_have_labels_are_validated_by_these"),
)
bugs(
    "cmirnet/stage1.py",
    ("validated-by-soft-labels", "to_device(source.labels[validation], xp)", "labels[validation]",
     "training/test_soft_labels.py::test_stage_1_is_validated_by_the_labels_as_they_are"),
)
bugs(
    "training/folder.py",
    ("end-of-a-stage-is-not-stored", "self.current = None\n            self._save()", "self.current = None",
     FOLDER + "a_stage_leaves_the_weights_and_the_statistics_of_its_best_epoch"),
)
bugs(
    "training/folder.py",
    ("versions-that-never-trained", "if not begun or load_run_settings", "if load_run_settings",
     FOLDER + "the_versions_are_those_of_the_sitting_that_first_trained"),
)
bugs(
    "gradcheck/judgement.py",
    ("zeros-pass-where-nothing-is-seen", "return open_entries if some_seen or not some_hidden else everything",
     "return open_entries", JUDGED + "what_rounding_hides_where_no_complex_step_is_possible_is_open[0]"),
    ("a-constant-stays-open", "if some_seen or not some_hidden else everything", "if some_seen else everything",
     JUDGED + "a_constant_has_the_gradient_0"),
    ("zeros-stay-open", " and not _is_rounding(trial, i, index))", ")", JUDGED + "a_constant_has_the_gradient_0"),
    ("the-first-open-entry-is-named", "max(entries, key=lambda index: m.slopes[index].reach)", "entries[0]",
     JUDGED + "of_entries_that_are_open_the_one_of_which_least_is_seen_is_named"),
)
bugs(
    "data/outlines.py",
    ("corners-do-not-join", "ridge & (strength >= weak), EIGHT)", "ridge & (strength >= weak))",
     OUTLINES + "a_slanted_edge_that_fades_is_one_edge[1]"),
    ("a-steady-hand", "rng.standard_normal(edges.shape), 12) * 25", "rng.standard_normal(edges.shape), 12) * 5",
     OUTLINES + "a_straight_edge_becomes_a_line_three_pixels_wide_that_wavers"),
    ("lines-of-one-pixel", "ndimage.binary_dilation(np.isin(labels, kept))", "np.isin(labels, kept)",
     OUTLINES + "a_straight_edge_becomes_a_line_three_pixels_wide_that_wavers"),
)
bugs(
    "data/sketches.py",
    ("a-table-above-and-below-alone", "[ink[0], ink[-1], ink[:, 0], ink[:, -1]]", "[ink[0], ink[-1]]",
     "data/test_sketches.py::test_a_sheet_on_a_dark_table_is_read_with_a_warning"),
    ("a-table-all-around-alone", "(edge > 0.2).mean() > 1 - FRAMED", "(edge > 0.2).mean() > 0.95",
     "data/test_sketches.py::test_a_sheet_on_a_dark_table_is_read_with_a_warning"),
    ("chalk-is-no-drawing", "abs(np.sign(signed[on]).mean())", "np.sign(signed[on]).mean()",
     "data/test_sketches.py::test_lines_on_any_paper_are_a_drawing[chalk]"),
    ("half-the-ink-is-bare", "bare = (ink == 0).mean()", "bare = (ink < 0.5).mean()",
     NO_PEN + "[on ground of which much is dim]"),
    ("some-ink-is-lighter", "FAINT = 0.6, 0.95", "FAINT = 0.6, 0.5", NO_PEN + "[one of five lighter]"),
    ("no-colour-of-a-palette-is-transparent", ' or "transparency" in image.info', "",
     "data/test_sketches.py::test_a_colour_of_a_palette_may_be_transparent"),
)
bugs(
    "data/svg.py",
    ("filters-in-attributes", ' or attributes.get("filter", "none").strip() != "none"', "",
     "data/test_svg.py::test_what_is_no_drawing_is_one_line"),
    ("prefixes-hide-pictures", 'name.rpartition(":")[2]\n        if count', "name\n        if count",
     "data/test_svg.py::test_what_is_no_drawing_is_one_line"),
)
bugs(
    "data/svg.py",
    ("percent-of-the-width", "box[i] / 100 if box else None", "box[0] / 100 if box else None",
     "data/test_svg.py::test_what_is_no_drawing_is_one_line"),
)
bugs(
    "attention/inference.py",
    ("one-sketch-for-a-class", "drawn[row] = rng.choice(others) if", "drawn[row] = others[0] if",
     IN_WAYS + "matched_never_takes_a_photos_own_sketch"),
)
bugs(
    "attention/stage2.py",
    ("label-of-the-sketch-that-attends", 'labels["b"][sketches.there]', 'labels["b"][attending.there]',
     IN_WAYS + "half_of_the_photos_are_attended_by_any_sketch_of_the_training_part"),
    ("embeddings-dropped-as-features", "settings.d_v, network.arch.dropout)", "settings.d_v, schedule.feature_dropout)",
     IN_WAYS + "masks_keep_the_shares_that_the_settings_say"),
)
bugs(
    "attention/system.py",
    ("variance-of-the-training-part", "rng.permutation(run.parts.test[m])", "rng.permutation(run.parts.train[m])",
     IN_WAYS + "shares_are_of_the_test_part"),
)
bugs(
    "data/trunk.py",
    ("signed-numbers-as-bytes", 'if kind.kind in "iu" else 1', 'if kind.kind == "u" else 1',
     "data/test_trunk.py::test_sixteen_bits_are_brought_to_the_range_of_bytes"),
    ("drawings-are-no-pictures", 'modality.kind in ("image", "sketch")', 'modality.kind == "image"',
     "data/test_trunk.py::test_images_stay_images_where_no_frozen_trunk_is_asked_for"),
)
bugs(
    "gradcheck/judgement.py",
    ("what-one-entry-does-not-move-never-jumps", "return nothing and jumps(trial, i)",
     'return nothing and not m.array("still").all() and jumps(trial, i)',
     JUDGED + "outputs_that_jump_only_where_several_entries_move_are_flat"),
)
bugs(
    "reports/gallery.py",
    ("two-bands-are-colours", "if x.shape[-1] == 2:  # as", "if x.shape[-1] == 0:  # as",
     "reports/test_gallery.py::test_bands_become_colours"),
)
bugs(
    "attention/system.py",
    ("searched-photos-alone", '("test", settings.gallery)', '("test",)',
     "attention/test_attention_system.py::test_only_photos_that_are_searched_need_a_matched_sketch"),
)
bugs(
    "data/sketches.py",
    ("blue-ink-is-none", "np.maximum(np.maximum(red, green), blue)", "np.maximum(red, green)",
     "data/test_sketches.py::test_ink_and_paper_may_differ_in_one_colour_alone[2]"),
    ("paper-half-a-step-aside", "(np.arange(n) + 0.5) / step - 0.5", "np.arange(n) / step",
     "data/test_sketches.py::test_the_paper_under_a_shadow_is_that_of_its_surroundings"),
)
bugs(
    "gradcheck/numeric.py",
    ("what-holds-itself-has-no-end", " or any(cache is whole for whole in around)", "",
     "gradcheck/test_checker.py::test_a_cache_that_holds_itself_is_read_once"),
)
bugs(
    "gradcheck/jacobians.py",
    ("what-holds-itself-has-no-end", "if any(cache is whole for whole in around):", "if False:",
     "gradcheck/test_checker.py::test_a_cache_that_holds_itself_is_read_once"),
)
bugs(
    "reports/spread.py",
    ("a-warning-of-all-seeds-without-saying-which", "len(seeds) == len(results)", "seeds",
     "reports/test_spread.py::test_what_single_runs_warn_of_is_said_of_their_seeds"),
    ("a-space-that-is-not-alive-is-averaged-in-silence", 'state = result.get("state", "alive")', 'state = "alive"',
     "reports/test_spread.py::test_what_single_runs_warn_of_is_said_of_their_seeds"),
)
bugs(
    "search.py",
    ("a-folder-s-photo-finds-what-was-traced-from-it",
     "exclude=to_device(positions(query, searched, run.dataset.apart), xp),", "exclude=None,",
     "attention/test_attention_system.py::test_a_folder_of_the_run_s_photos_gives_the_figures_of_the_run[mean]"),
    ("a-folder-s-photo-is-always-from-outside", "np.array([-1 if row is None else row for row in rows])",
     "np.full(len(rows), -1)",
     "attention/test_attention_system.py::test_a_folder_of_the_run_s_photos_gives_the_figures_of_the_run[random]"),
    ("queries-that-were-tested-on-are-called-learned", "modality.digests[run.parts.train[m]])", "modality.digests)",
     "test_ranking.py::test_a_folder_of_what_was_trained_on_is_said[recordings]"),
)
bugs(
    "reports/gallery.py",
    ("a-changed-file-passes-for-what-was-read", "return bool(digests_of(x)[0] !=", "return bool(0 * digests_of(x)[0] >",
     "reports/test_gallery.py::test_a_file_that_was_changed_since_the_run_read_it_is_told[a]"),
)
bugs(
    "runs.py",
    ("a-finished-seed-keeps-the-place-of-its-samples",
     "if all(whole_paths(modality) == whole_paths(today[m]) for m, modality in run.dataset.modalities.items()):",
     "if today:",
     "reports/test_spread.py::test_seeds_that_are_finished_know_where_their_samples_were_moved"),
)
bugs(
    "config.py",
    ("a-table-that-differs-without-saying-where", 'return f"{name}.{inner}"', "return name",
     "test_runs.py::test_other_settings_are_refused"),
)
bugs(
    "data/query.py",
    ("a-simulated-sensor-sees-every-pixel", "return wald.FACTOR * side, wald.mul", "return side, lambda image: image",
     "amfmn/test_places.py::test_slices_are_what_a_simulated_sensor_sees"),
)
# fmt: on

import catalogue_amfmn  # noqa: E402, F401 - the bugs of AMFMN and of the operations that it alone needs
