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
    ("overflows", "xp.where(positive, -x, x)", "-x", "ops/test_sigmoid.py::test_it_never_overflows"),
    ("turned-round", "xp.where(positive, 1, small) / (1 + small)", "xp.where(positive, small, 1) / (1 + small)",
     "ops/test_sigmoid.py::test_the_logistic_function"),
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
    ("squared-length", "xp.sqrt(xp.where(positive, square, 1))", "xp.where(positive, square, 1)",
     "ops/test_unit_rows.py::test_length_one_and_the_same_direction"),
    ("length-a-constant", "dy - y * (y * dy).sum(axis=-1, keepdims=True)", "dy", "gradcheck:unit_rows"),
    ("gradient-at-zero", "xp.where(positive, dy - y * (y * dy).sum(axis=-1, keepdims=True), 0)",
     "(dy - y * (y * dy).sum(axis=-1, keepdims=True))",
     "ops/test_unit_rows.py::test_zeros_stay_zeros_and_have_no_gradient"),
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
