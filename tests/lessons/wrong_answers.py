"""Wrong answers to the exercises, as students give them, and the words that each must hear.

A row is (what is wrong, the answer, the words of the refusal). The answer is the solution with some of its words
exchanged, a list of (right, wrong), or a whole text. To add one, write its row; `test_wrong_answers.py` reads all.
"""

WRONG = {
    "00": [
        ("PAN asked", "answers = nearest(v_pan, v_mul, 10)[0]", "here PAN asked"),
        ("MUL in MUL", "answers = nearest(v_mul, v_mul, 10)[0]", "MUL answered itself"),
        ("MUL in MUL without itself", "answers = nearest(v_mul, v_mul, 11)[0][:, 1:]", "MUL answered itself"),
        ("PAN in PAN", "answers = nearest(v_pan, v_pan, 10)[0]", "PAN answered itself"),
        ("first hit dropped", "answers = nearest(v_mul, v_pan, 11)[0][:, 1:]", "first hit was dropped"),
        ("the distances", "answers = nearest(v_mul, v_pan, 10)[1]", "these are the distances"),
        ("both of the two", "answers = nearest(v_mul, v_pan, 10)", "numbers and distances, in this order"),
        ("five of ten", "answers = nearest(v_mul, v_pan, 5)[0]", "not (256, 5)"),
        ("transposed", "answers = nearest(v_mul, v_pan, 10)[0].T", "not (10, 256)"),
        ("farthest first", "answers = nearest(v_mul, v_pan, 10)[0][:, ::-1]", "nearest first"),
        ("counted among all patches", "answers = nearest(v_mul, v_pan, 10)[0] + 24 * 16", "the numbers 0 to 255"),
        ("the opposite", "answers = nearest(v_mul, -v_pan, 10)[0]", "not the nearest"),
    ],
    "01": [
        ("no .imag", [(".imag", "")], ".imag"),
        (".real", [(".imag", ".real")], "only its imaginary part"),
        ("complex in the end", [("h * e).imag / h", "h * e) / 1")], "these are complex numbers"),
        ("a real array", [("x + 1j * h * e", "(x + 1j * h * e).real")], "imaginary part is lost"),
        ("not divided", [(".imag / h", ".imag")], "divide by h"),
        ("all entries at once", [("1j * h * e", "1j * h + 0 * e")], "one entry at a time"),
        (
            "a step of 1e-8 and a difference",
            [("f(x + 1j * h * e).imag / h", "(f(x + 1e-8 * e) - f(x)) / 1e-8")],
            "loses",
        ),
        (
            "the central difference",
            [("f(x + 1j * h * e).imag / h", "(f(x + 1e-5 * e) - f(x - 1e-5 * e)) / 2e-5")],
            "loses digits",
        ),
        ("over 2h", [(".imag / h", ".imag / (2 * h)")], "0.5 0.5 0.5"),
        ("the sign", [("x + 1j", "x - 1j")], "-1. -1. -1."),
        ("only the first", "def my_slopes(f, x):\n    return f(x + 1e-40j).imag / 1e-40", "three slopes are wanted"),
        (
            "written into a copy of x",
            "def my_slopes(f, x):\n    out = []\n    for i in range(len(x)):\n        y = x.copy()\n"
            "        y[i] += 1e-40j\n        out.append(f(y).imag / 1e-40)\n    return np.array(out)",
            "imaginary part is lost",
        ),
    ],
    "01b": [
        ("too long", "h32 = 0.3", "smaller; this is truncation"),
        ("a little too short", "h32 = 1e-4", "larger; this is rounding"),
        ("that of the forward difference", "h32 = 1e-8", "larger; this is rounding"),
        ("negative", "h32 = -5e-3", "a positive number"),
    ],
    "02": [
        ("dg without the upstream", [("(dy * (x @ w)).sum(axis=0)", "(x @ w).sum(axis=0)")], "upstream dy is ignored"),
        ("dg not summed", [("(dy * (x @ w)).sum(axis=0)", "dy * (x @ w)")], ["g", "sum over axis 0 is missing"]),
        ("dg a mean", [("(dy * (x @ w)).sum(axis=0)", "(dy * (x @ w)).mean(axis=0)")], "divided by n too often"),
        ("dg over the wrong axis", [("(x @ w)).sum(axis=0)", "(x @ w)).sum(axis=1)")], ["g", "summed over axis 1"]),
        ("dg from y", [("(dy * (x @ w))", "(dy * (x @ w) * g)")], "factor g is too much"),
        ("the scale forgotten", [("ds = dy * g", "ds = dy")], "factor g is missing"),
        ("the scale divided", [("ds = dy * g", "ds = dy / g")], "factor g² is missing"),
        ("dw transposed", [("x.T @ ds", "ds.T @ x")], "transposed"),
        ("the transpose of w missing", [("ds @ w.T", "ds @ w")], "is a transpose missing"),
        ("dw and dx exchanged", [("ds @ w.T, x.T @ ds", "x.T @ ds, ds @ w.T")], "swapped"),
        ("dx of another sign", [("ds @ w.T", "-ds @ w.T")], "sign is wrong"),
    ],
    "03": [
        ("a mean over N", [("(p - q) / c.sum()", "(p - q) / len(p)")], ["u[", "divided by n too often"]),
        ("the weights forgotten", [("c[:, None] * (p - q)", "(p - q)")], ["u: a sample's share of the mean"]),
        ("the mean not taken off", [("(losses - loss)", "losses")], ["c: who uses it", "worse than the mean"]),
        ("dloss forgotten", [("dloss * c[:, None]", "c[:, None]")], "upstream dy is ignored"),
        ("dloss forgotten for c", [("du, dloss * (losses", "du, (losses")], "upstream dy is ignored"),
        ("c along the classes", [("c[:, None]", "c[None, :]")], "shapes"),
        ("truth minus guess", [("(p - q)", "(q - p)")], "sign is wrong"),
        ("c with the sign of the mean", [("(losses - loss)", "(loss - losses)")], "sign is wrong"),
        ("no path to c", [("dloss * (losses - loss) / c.sum()", "0 * c")], "path to c is missing"),
        (
            "hard labels",
            [("du = dloss * c[:, None] * (p - q)", "du = dloss * c[:, None] * (p - np.round(q))")],
            ["u[", "the truth is q"],
        ),
        ("a sum over the samples", [("(p - q) / c.sum()", "(p - q)")], "factor"),
        (
            "a plain mean of losses",
            [("loss = (c * losses).sum() / c.sum()", "loss = losses.mean()")],
            ["c[", "c: who uses it"],
        ),
    ],
    "04": [
        ("flipped", [("dy @ w[i, j].T", "dy @ w[k - 1 - i, k - 1 - j].T")], "so its dy belongs there; yours reaches"),
        ("rows and columns exchanged", [("w[i, j].T", "w[j, i].T")], "yours reaches"),
        ("= for +=", [("+= (\n            dy @ w[i, j].T\n        )", "= dy @ w[i, j].T")], "overwritten, = for +="),
        ("no transpose", [("w[i, j].T", "w[i, j]")], "A tap w[i, j] is (C, D)"),
        ("the border not cut", [("padded[:, r : r + height, r : r + width]", "padded")], "dx has shape"),
        (
            "the wrong corner",
            [("padded[:, r : r + height, r : r + width]", "padded[:, :height, :width]")],
            "yours reaches",
        ),
        ("the last tap left out", [("np.ndindex(k, k)", "np.ndindex(k - 1 or 1, k)")], "yours reaches none"),
        ("only the diagonal", [("w[i, j].T", "w[i, j].T * (i == j)")], "yours reaches none"),
        (
            "i and j exchanged in the slice",
            [("i : i + height, j : j + width", "j : j + height, i : i + width")],
            "reaches",
        ),
        (
            "height for width",
            [("i : i + height, j : j + width", "i : i + width, j : j + height")],
            "Rows are counted by i",
        ),
        ("a mean over taps", [("dy @ w[i, j].T", "dy @ w[i, j].T / k**2")], "0.111 times what they should be"),
    ],
    "04b": [
        ("the kernel turned round", [("dy * w[i, j]", "dy * w[-1 - i, -1 - j]")], "dx: the kernel is turned round"),
        ("= for +=", [("+= dy", "= dy")], "dx: every tap sends something, and += adds"),
        ("a sum over channels", [("axis=(0, 1, 2)", "axis=None")], "each channel by itself"),
        ("a mean", [(".sum(axis=(0, 1, 2))", ".mean(axis=(0, 1, 2))")], "dw: dw[i, j] sums over samples and pixels"),
        ("the first image alone", [("(dy * seen).sum(axis=(0, 1, 2))", "(dy * seen)[0].sum(axis=(0, 1))")], "samples"),
        ("no dw", [("dw[i, j] = (dy", "unused = (dy")], "dw: all of it is 0"),
        ("dw turned round", [("dw[i, j] =", "dw[-1 - i, -1 - j] =")], "dw: the kernel is turned round"),
        ("as a full convolution", [("dy * w[i, j]", "dy @ w[i, j].T")], "no sum over channels"),
        ("the border not cut", [("d_padded[:, r : r + height, r : r + width]", "d_padded")], "dx has shape"),
    ],
    "05": [
        ("the path through μ", [(" - dx_hat.mean(axis=0)", "")], ["0 × what comes through μ"]),
        ("the path through σ²", [(" - x_hat * (dx_hat * x_hat).mean(axis=0)", "")], ["0 × what comes through σ²"]),
        ("a plus", [("- x_hat *", "+ x_hat *")], "-1 × what comes through σ²"),
        ("2 of the square", [("- x_hat *", "- 2 * x_hat *")], "2 × what comes through σ²"),
        ("s forgotten", [("return s * (", "return (")], "factor cache[1] is missing"),
        ("s twice", [("return s * (", "return s * s * (")], "factor cache[1] is too much"),
        ("x̂ forgotten", [("- x_hat * (dx_hat * x_hat)", "- (dx_hat * x_hat)")], "(all means are over the batch"),
        (
            "the mean of a product taken apart",
            [("(dx_hat * x_hat).mean(axis=0)", "dx_hat.mean(axis=0)")],
            "all means are over the batch",
        ),
        ("over the features", [("dx_hat.mean(axis=0)", "dx_hat.mean(axis=1, keepdims=True)")], "over the batch"),
        ("over all", [("dx_hat.mean(axis=0)", "dx_hat.mean()")], "over the batch"),
        ("over the features, and no axis kept", [("dx_hat.mean(axis=0)", "dx_hat.mean(axis=1)")], "over the batch"),
        ("sums for means", [("dx_hat.mean(axis=0)", "dx_hat.sum(axis=0)")], "6 × what comes through μ"),
        ("N − 1", [("(dx_hat * x_hat).mean(axis=0)", "(dx_hat * x_hat).sum(axis=0) / (len(x_hat) - 1)")], "1.2 × what"),
        (
            "summed at once",
            [("return s * (", "return (s * ("), ("mean(axis=0))", "mean(axis=0))).sum(axis=0)")],
            "shape (3,)",
        ),
    ],
    "06": [
        ("one part only", [("return 4 * z", "return 2 * z")], "half of it: one of the two parts of δG"),
        ("without the I", [(" - np.eye(z.shape[1])", "")], "0 × that of −2‖Z‖² (the I)"),
        ("the sign of the I", [("z.T @ z - np.eye", "z.T @ z + np.eye")], "-1 × that of −2‖Z‖²"),
        ("the sign", [("return 4", "return -4")], "-1 × the gradient"),
        (
            "the order",
            [("4 * z @ (z.T @ z - np.eye(z.shape[1]))", "4 * (z.T @ z - np.eye(z.shape[1])) @ z")],
            "which of the two",
        ),
        (
            "transposed",
            [("4 * z @ (z.T @ z - np.eye(z.shape[1]))", "4 * (z.T @ z - np.eye(z.shape[1])) @ z.T")],
            "has shape (3, 5)",
        ),
        ("ones for the identity", [("np.eye(z.shape[1])", "1")], "ones on the diagonal alone"),
        (
            "the samples' Gram matrix",
            "def orthogonality_gradient(z):\n    return 4 * (z @ z.T - np.eye(len(z))) @ z.T",
            "which of the two orders fits",
        ),
        (
            "of the norm, unsquared",
            [("return 4 * z @ (", "return 2 / np.linalg.norm(z.T @ z - np.eye(z.shape[1])) * z @ (")],
            "× the gradient",
        ),
        (
            "the outer slope only",
            "def orthogonality_gradient(z):\n    return 2 * (z.T @ z - np.eye(z.shape[1]))",
            "has shape (3, 3)",
        ),
    ],
    "07": [
        ("L2: the sign", [("-2 * (v_a - v_b)", "2 * (v_a - v_b)")], ["L2 by v_b", "sign is wrong"]),
        ("L2: the 2", [("-2 * (v_a - v_b)", "-(v_a - v_b)")], ["L2 by v_b", "a 2 is missing"]),
        ("L2: 1/n", [("-2 * (v_a - v_b) / n", "-2 * (v_a - v_b)")], ["L2 by v_b", "1/n of a mean is missing"]),
        ("L3: 1/n", [("- Y) / n", "- Y)")], ["L3 by w_c", "factor 12"]),
        ("L3: the labels forgotten", [("(softmax(joined @ w_c) - Y)", "softmax(joined @ w_c)")], "L3 by w_c"),
        ("L3: the other rows of w_c", [("w_c[d:].T", "w_c[:d].T")], ["L3 by v_b", "which rows of w_c meet v_b"]),
        ("L3: all rows of w_c", [("du @ w_c[d:].T", "du @ w_c.T")], ["L3 by v_b", "(12, 4)"]),
        ("L3: the pair the other way round", [("[v_a, v_b]", "[v_b, v_a]")], "L3 by w_c"),
        ("L3: truth minus guess", [("softmax(joined @ w_c) - Y", "Y - softmax(joined @ w_c)")], "sign is wrong"),
        ("L3: a transpose", [("joined.T @ du", "du.T @ joined")], ["L3 by w_c", "transposed"]),
        (
            "L4: v_b too",
            [('"L4 by v_a": 2 * v_a', '"L4 by v_a": 2 * v_a + 2 * v_b')],
            ["L4 by v_a", "v_b does not move"],
        ),
        ("L4: the 2", [('"L4 by v_a": 2 * v_a', '"L4 by v_a": v_a')], ["L4 by v_a", "a 2 is missing"]),
        ("L5: w_ab forgotten", [("- z_b) @ w_ab.T", "- z_b)")], ["L5 by v_a", "what stands between"]),
        (
            "L5: the target forgotten",
            [("(v_a @ w_ab - z_b)", "(v_a @ w_ab)")],
            ["L5 by v_a", "v_a w_ab − z_b"],
        ),
        ("L5: no transpose", [("- z_b) @ w_ab.T", "- z_b) @ w_ab")], ["L5 by v_a", "which way round"]),
    ],
    "08": [
        (
            "no z_a",
            "def gradient_of_w_a(w_a, w_b, z_a, z_b, alpha):\n    v_a, v_b = z_a @ w_a, z_b @ w_b\n"
            "    return 2 * (v_a - v_b) + 2 * v_a",
            ["(7, 3)", "how does what is wanted of v_a"],
        ),
        ("L4 forgotten", [(" + 2 * v_a)", ")")], "0 × L4"),
        ("L2 forgotten", [("2 * (v_a - v_b) + 2 * v_a", "2 * v_a")], "0 × L2"),
        ("R forgotten", [(" + 2 * (w_a - alpha)", "")], "0 × R"),
        ("the sign of R", [("+ 2 * (w_a - alpha)", "- 2 * (w_a - alpha)")], "-1 × R"),
        ("the sign of L2", [("2 * (v_a - v_b)", "2 * (v_b - v_a)")], "-1 × L2"),
        (
            "the 2 of all",
            [("z_a.T @ (2 * (v_a - v_b) + 2 * v_a) + 2 *", "z_a.T @ ((v_a - v_b) + v_a) +")],
            "0.5 × L2 + 0.5 × L4",
        ),
        ("L4 of v_b too", [("+ 2 * v_a)", "+ 2 * v_a + 2 * v_b)")], "0 × L2 + 2 × L4"),
        ("α forgotten", [("(w_a - alpha)", "w_a")], "−α in every entry"),
        ("α on the diagonal", [("w_a - alpha", "w_a - alpha * np.eye(*w_a.shape)")], "−α in every entry"),
        ("α with a plus", [("w_a - alpha", "w_a + alpha")], "−α in every entry"),
        ("the other z", [("z_a.T", "z_b.T")], "w_a is (4, 3)"),
        ("no transpose", [("z_a.T @", "z_a @")], "shapes do not fit"),
    ],
    "09": [
        ("theta not in place", [("theta -= rate *", "theta = theta - rate *")], "theta has not changed"),
        ("m not in place", [("m[...] =", "m =")], "m has not changed"),
        ("v not in place", [("v[...] =", "v =")], "v has not changed"),
        (
            "the betas exchanged",
            [("0.9 * m + 0.1 * g", "0.999 * m + 0.001 * g"), ("0.999 * v + 0.001 * g", "0.9 * v + 0.1 * g")],
            "0.1 of the gradient",
        ),
        ("m forgets the old m", [("0.9 * m + 0.1 * g", "0.1 * g")], "0.9 of the old m stays"),
        ("m a plain sum", [("0.9 * m + 0.1 * g", "0.9 * m + g")], "0.1 of the gradient"),
        ("v without the square", [("0.001 * g * g", "0.001 * g")], "0.001 of its square"),
        ("no correction", [("(m / (1 - 0.9**t))", "m")], "divided by 1 − β1ᵗ"),
        (
            "the correction of the first step for ever",
            [("(1 - 0.9**t)", "(1 - 0.9)")],
            ["2 steps", "divided by 1 − β1ᵗ"],
        ),
        ("m corrected in place", [("    step =", "    m /= 1 - 0.9**t\n    step =")], "0.1 of the gradient"),
        ("no root", [("np.sqrt(v / (1 - 0.999**t))", "(v / (1 - 0.999**t))")], "as long as the rate"),
        ("ε under the root", [("0.999**t)) + 1e-8)", "0.999**t) + 1e-8))")], "added to the root, and not under it"),
        ("t from 0", [("0.9**t", "0.9 ** (t + 1)")], "1 − β1ᵗ"),
        ("ascent", [("theta -=", "theta +=")], "move theta by"),
        (
            "the decay in the gradient",
            [("    m[...] =", "    g = g + decay * theta\n    m[...] ="), (" + decay * theta)", ")")],
            "it joins no gradient",
        ),
        ("g written into", [("    m[...] =", "    g += decay * theta + 1\n    m[...] =")], "g was written into"),
        ("no decay", [("(step + decay * theta)", "step")], "the share 0.1 · 0.5"),
        (
            "decay without the rate",
            [("rate * (step + decay * theta)", "rate * step + decay * theta")],
            "the share 0.1 · 0.5",
        ),
        (
            "decay of the new theta",
            [("(step + decay * theta)", "step\n    theta -= rate * decay * theta")],
            "before the step that shrinks",
        ),
    ],
    "10": [
        ("the same twice", 'liked_by_precision_at_5 = liked_by_ap = "1100110000"', "P@5 should prefer the first"),
        ("five hits", [("0011100001", "0011100011")], "4 of them relevant"),
        ("nine items", [("0011100001", "011100001")], "has 10 items"),
        (
            "exchanged",
            'liked_by_precision_at_5, liked_by_ap = "1100011000", "0011100001"',
            "P@5 should prefer the first",
        ),
        ("hits too early in the first", [("0011100001", "1110000001")], "AP should prefer the second"),
    ],
    "10b": [
        (
            "ties as they are stored",
            "def fair_reciprocal_rank(distances, relevant):\n"
            '    order = np.argsort(distances, kind="stable")\n'
            "    return 1 / (1 + int(np.argmax(relevant[order])))",
            "half of the orders give 1, half give 1/2",
        ),
        ("places from 0", [("/ (above + i) for", "/ (above + i - 1 or 1) for")], "count places from 1"),
        (
            "the expected place",
            [
                (
                    "return sum(w / (above + i) for i, w in enumerate(ways, 1)) / sum(ways)",
                    "return 1 / (above + (n + 1) / (r + 1))",
                )
            ],
            "half of the orders give 1",
        ),
        ("every place as likely", [("comb(n - i, r - 1)", "1")], "the first of two hits"),
        (
            "over all places of the group",
            [("comb(n - i, r - 1) for i in range(1, n - r + 2)", "1 for i in range(1, n + 1)")],
            "the first of two hits",
        ),
        ("what is nearer forgotten", [("/ (above + i)", "/ i")], "count places from 1"),
        ("all groups at once", [("distances == nearest", "distances >= nearest")], "sort by distance"),
        (
            "ties fall well",
            [("return sum(w / (above + i) for i, w in enumerate(ways, 1)) / sum(ways)", "return 1 / (above + 1)")],
            "half of the orders",
        ),
        (
            "ties fall badly",
            [
                (
                    "return sum(w / (above + i) for i, w in enumerate(ways, 1)) / sum(ways)",
                    "return 1 / (above + n - r + 1)",
                )
            ],
            "half of the orders",
        ),
        (
            "one number for each item",
            [("return sum(", "return 1 / (1 + distances) + 0 * sum(")],
            "one number is wanted",
        ),
    ],
    "11": [
        (
            "tiles",
            "def leak_free(kind, scene, share, rng):\n    return rng.random(len(kind)) < share",
            "shuffle scenes, not tiles",
        ),
        (
            "rng ignored",
            [("rng.permutation(\n            np.unique(scene[kind == k])\n        )", "np.unique(scene[kind == k])")],
            "another rng gives the same split",
        ),
        (
            "an rng of its own",
            [("rng.permutation", "np.random.default_rng().permutation")],
            "the same rng gives another split",
        ),
        (
            "indices",
            [("return np.isin(scene, chosen)", "return np.flatnonzero(np.isin(scene, chosen))")],
            "True or False for each",
        ),
        ("scene numbers", [("return np.isin(scene, chosen)", "return np.array(chosen)")], "True or False for each"),
        ("the training part", [("return np.isin(scene, chosen)", "return ~np.isin(scene, chosen)")], "True means test"),
        (
            "not kind by kind",
            "def leak_free(kind, scene, share, rng):\n"
            "    scenes = rng.permutation(np.unique(scene))\n"
            "    return np.isin(scene, scenes[: round(share * len(scenes))])",
            "go kind by kind",
        ),
        (
            "the share of tiles",
            [("round(share * len(scenes))", "round(share * (kind == k).sum())")],
            "count scenes, not tiles",
        ),
        (
            "the same places in every kind",
            [
                ("    chosen = []", "    chosen, draw = [], rng.permutation(20)"),
                (
                    "rng.permutation(\n            np.unique(scene[kind == k])\n        )",
                    "np.unique(scene[kind == k])[draw]",
                ),
            ],
            "draw anew for each kind",
        ),
        ("none", [("scenes[: round(share * len(scenes))]", "scenes[: int(share)]")], "no tile at all"),
    ],
    "12": [
        ("as they were", 'repaired = {"box 1": box_1, "box 2": box_2, "box 3": box_3}', "box 1"),
        (
            "box 1: the path through the root",
            [(" - x * (dy * x).sum(axis=1, keepdims=True) / root**3", "")],
            ["box 1", "a path through a norm"],
        ),
        ("box 1: the root not cubed", [("root**3", "root")], ["box 1", "a multiple of x"]),
        ("box 1: the wrong axis", [("(dy * x).sum(axis=1, keepdims=True)", "(dy * x).sum(axis=0)")], "box 1"),
        (
            "box 1: writes into dy",
            [
                ("    return dy / root - x", "    kept = dy.copy()\n    dy /= root\n    dy -= x * (kept"),
                (
                    " * (dy * x).sum(axis=1, keepdims=True) / root**3",
                    " * x).sum(axis=1, keepdims=True) / root**3\n    return dy",
                ),
            ],
            ["box 1"],
        ),
        (
            "box 2: float64",
            [("dy * (s + x * s * (1 - s))", "(dy * (s + x * s * (1 - s))).astype(float)")],
            ["box 2", "float64 goes out"],
        ),
        ("box 2: half the slope", [("x * s * (1 - s)", "x * s")], "box 2"),
        ("box 2: one of two users", [("(s + x * s * (1 - s))", "s")], "box 2"),
        ("box 3: the sign of b", [("return da, -da", "return da, da")], ["box 3", "sign is wrong"]),
        ("box 3: 0/0", [("np.where(agree, 1, y)", "y")], ["box 3", "0/0"]),
        ("box 3: b forgotten", [("return da, -da", "return da, 0 * da")], ["box 3", "path to b is missing"]),
    ],
    "13": [
        ("NumPy's exp", [("xp.exp", "np.exp")], "ask get_xp"),
        ("the axis not kept", [("u.max(axis=1, keepdims=True)", "u.max(axis=1)")], "with keepdims=True (N, 1)"),
        ("NumPy's maximum", [("u.max(axis=1, keepdims=True)", "np.max(u, axis=1, keepdims=True)")], "ask get_xp"),
        ("to the host", [("    xp = get_xp(u)", "    xp, u = np, getattr(u, 'a', u)")], "came back to the host"),
        ("without the maximum", [("u - u.max(axis=1, keepdims=True)", "u - 0")], "subtract each row's own maximum"),
        ("the maximum of all", [("u.max(axis=1, keepdims=True)", "u.max()")], "each row's own maximum"),
        (
            "log of p",
            "def entropy(u):\n"
            "    xp = get_xp(u)\n"
            "    e = xp.exp(u - u.max(axis=1, keepdims=True))\n"
            "    p = e / e.sum(axis=1, keepdims=True)\n"
            "    return xp.log(p.prod(axis=1)) * 0 - (p * xp.log(p)).sum(axis=1)",
            "the logarithm of a p that is 0",
        ),
        (
            "the sign",
            [
                (
                    "return xp.log(total) - (e * shifted).sum(axis=1) / total",
                    "return (e * shifted).sum(axis=1) / total - xp.log(total)",
                )
            ],
            "H is not negative",
        ),
        (
            "the other axis",
            [("shifted = u - u.max(axis=1, keepdims=True)", "u = u.T\n    shifted = u - u.max(axis=1, keepdims=True)")],
            "one number a row",
        ),
        (
            "one number",
            [
                (
                    "return xp.log(total) - (e * shifted).sum(axis=1) / total",
                    "return (xp.log(total) - (e * shifted).sum(axis=1) / total).sum()",
                )
            ],
            "one number a row",
        ),
        (
            "not divided by the sum",
            [("(e * shifted).sum(axis=1) / total", "(e * shifted).sum(axis=1)")],
            "is each softmax over its own row",
        ),
        ("log of the sum forgotten", [("xp.log(total) - (e", "-(e")], "log p complete"),
        (
            "in bits",
            [
                (
                    "return xp.log(total) - (e * shifted).sum(axis=1) / total",
                    "return (xp.log(total) - (e * shifted).sum(axis=1) / total) / np.log(2.0)",
                )
            ],
            "in bits",
        ),
        (
            "u written into",
            [("shifted = u - u.max(axis=1, keepdims=True)", "u -= u.max(axis=1, keepdims=True)\n    shifted = u")],
            "u was written into",
        ),
        ("float64", [("xp.exp(shifted)", "xp.exp(shifted).astype(float)")], "float64 went out"),
    ],
    "14": [
        ("the path through the gate", [(" + d_gate @ u.T", "")], "who uses x"),
        ("tanh's slope", [(" * (1 - n * n)", "")], ["w: what is new", "tanh has a slope"]),
        ("the gate's sign", [("(n - x) * g", "(x - n) * g")], "sign is wrong"),
        ("the two exchanged", [("x.T @ d_new, x.T @ d_gate", "x.T @ d_gate, x.T @ d_new")], "swapped"),
        ("half of σ's slope", [("(n - x) * g * (1 - g)", "(n - x) * g")], ["u: what does the gate", "σ has a slope"]),
        (
            "the gate does not multiply",
            [("dy * g * (1 - n * n)", "dy * (1 - n * n)")],
            "w: what is new reaches y through the gate",
        ),
    ],
    "15": [
        ("h in the product", [("(r * h).T @ ds_n", "h.T @ ds_n")], "r ⊙ h"),
        ("dr without h", [("dm * h, dm * r", "dm, dm * r")], "u: what stands in the product"),
        ("the blend forgotten", [("dnew * z + through_n", "through_n")], "h: who uses it? the blend"),
        ("the gate's share of h", [("+ ds_r @ u_r.T", "")], "both gates"),
        ("the sign of the blend", [("dnew * (h - n) * z", "dnew * (n - h) * z")], "b["),
        ("b not summed", [("sums.sum(axis=0)", "sums")], "sum over axis 0 is missing"),
    ],
    "16": [
        ("the squares of b", [(" - 2 * b * ds.sum(axis=0)[:, None]", "")], "multiple of b"),
        ("the sign of a square", [("2 * ds @ b - 2 * a", "2 * ds @ b + 2 * a")], "a multiple of a"),
        ("no transpose", [("ds.T @ a", "ds @ a")], "4 × 4"),
        (
            "the sums exchanged",
            [("ds.sum(axis=1)[:, None]", "ds.sum(axis=0)[:, None]")],
            "how often is the square of a_i used",
        ),
    ],
    "17": [
        ("the mean wish", [("a * (da - (a * da).sum(axis=1, keepdims=True))", "a * da")], "each share's wish"),
        ("tau", [("(du * agreement).sum()", "0.0")], "only zeros: the path to tau"),
        ("tau for k alone", [("tau * du @ k,", "du @ k,")], "factor tau is missing"),
        ("k not transposed", [("tau * du.T @ q", "tau * du @ q")], "is a transpose missing"),
        (
            "the wish over the queries",
            [("(a * da).sum(axis=1, keepdims=True)", "(a * da).sum(axis=0, keepdims=True)")],
            "each share's wish",
        ),
    ],
    "18": [
        ("s/tau", [("return du / tau", "return du")], "factor tau is too much"),
        ("the sign of tau", [("-(du * s)", "(du * s)")], ["tau[", "its sign?"]),
        ("1/n", [("(p - np.eye(len(s))) / len(s)", "(p - np.eye(len(s)))")], "1/n of a mean is missing"),
        ("every pair is right", [("p - np.eye(len(s))", "p - 1")], "the truth on the diagonal"),
    ],
    "19": [
        ("all groups", [("distances[own].min()", "distances.min()")], "over all orders"),
        ("one place too many", [("k - before", "k - before + 1")], "how many places"),
        ("own ones of other groups", [("(tied & own).sum()", "own.sum()")], "over all orders"),
        (
            "ties fall well",
            [("return 1 - comb(n - r, places) / comb(n, places)", "return float(places > 0)")],
            "over all orders",
        ),
        (
            "a share for each own one",
            [("return 1 - comb(n - r, places) / comb(n, places)", "return min(1, r * places / n)")],
            "over all",
        ),
    ],
    "20": [
        ("the last of several", [("np.add.at(de, TEXT, dproduct * gain)", "de[TEXT] += dproduct * gain")], "how often"),
        ("the gain forgotten", [("dproduct * gain)", "dproduct)")], "factor gain is missing"),
        ("dgain not summed", [("(dproduct * words).sum(axis=0)", "dproduct * words")], "sum over axis 0 is missing"),
        (
            "dgain of the words alone",
            [("(dproduct * words).sum(axis=0)", "words.sum(axis=0)")],
            "upstream dy is ignored",
        ),
    ],
    "21": [
        ("the path through the mean", [("dc - dc.mean(axis=1, keepdims=True)", "dc")], "who uses a"),
        ("the path through v", [("dc + dv * 2 * c / len(c)", "dc")], "who uses c"),
        ("the other axis", [("dc.mean(axis=1", "dc.mean(axis=0")], "along which axis"),
        ("gain not summed", [("(dy * t).sum(axis=0)", "dy * t")], "sum over axis 0 is missing"),
        ("tanh's slope", [(" * (1 - t * t)", "")], "x: all of it goes through a"),
    ],
    "22": [
        ("the path through the gate", [(" + dmean[:, None] / x.shape[1]", "")], "who uses x"),
        ("the mean taken for a sum", [("dmean[:, None] / x.shape[1]", "dmean[:, None]")], "the mean, which has 1/M"),
        (
            "the residual forgotten",
            [("dy * (1 + a[:, None])", "dy * a[:, None]")],
            ["x: ", "the product at its own place"],
        ),
        ("σ's slope", [("da * a * (1 - a)", "da")], ["w: ", "then σ"]),
        ("half of σ's slope", [("da * a * (1 - a)", "da * a")], ["b: ", "then σ"]),
        ("a mean over the places", [("(dy * x).sum(axis=1)", "(dy * x).mean(axis=1)")], "summed over the places"),
        ("the gate hears dy alone", [("(dy * x).sum(axis=1)", "dy.sum(axis=1)")], "dy times x"),
        ("b not summed", [("du.sum(axis=0)", "du")], "sum over axis 0 is missing"),
    ],
    "23": [
        ("the road through the gate", [(" + unit_rows_backward(dz @ w[:d].T, of_s)", "")], "(s: s is blended"),
        (
            "the gate's road not through ŝ",
            [("unit_rows_backward(dz @ w[:d].T, of_s)", "dz @ w[:d].T")],
            "goes through ŝ",
        ),
        (
            "both roads through ŝ",
            [("dy * g + unit_rows_backward(dz @ w[:d].T, of_s)", "unit_rows_backward(dy * g + dz @ w[:d].T, of_s)")],
            "blended as it is",
        ),
        ("k blended with g", [("dy * (1 - g)", "dy * g")], "with 1 − g"),
        ("the halves of W exchanged", [("w[d:].T, of_k", "w[:d].T, of_k")], "goes through k̂"),
        ("the gate hears ŝ − k̂", [("dy * (s - k)", "dy * (of_s.y - of_k.y)")], ["w: ", "s − k, as they are"]),
        ("the gate hears k − s", [("(s - k)", "(k - s)")], ["w: ", "b: "]),
        ("the gate hears dy alone", [("dy * (s - k)", "dy")], "dy times s − k"),
        ("σ's slope", [(" * g * (1 - g)\n    ds", "\n    ds")], "then σ"),
        (
            "dW from s and k as they are",
            [("[of_s.y.T @ dz, of_k.y.T @ dz]", "[s.T @ dz, k.T @ dz]")],
            "g reads ŝ and k̂",
        ),
        ("dW in the other order", [("[of_s.y.T @ dz, of_k.y.T @ dz]", "[of_k.y.T @ dz, of_s.y.T @ dz]")], "(w: "),
        ("b not summed", [("dz.sum(axis=0)", "dz")], "sum over axis 0 is missing"),
        ("what goes to ŝ and k̂ is right, and to W and b nothing", [("of_s.y.T @ dz", "0 * of_s.y.T @ dz")], "(w: "),
    ],
    "23b": [
        (
            "not clipped",
            [("sum(1.0 * (a >= k) @ (b >= k).T for k in range(1, top + 1))", "a @ b.T")],
            "is right",
        ),
        (
            "a product over the right union",
            "def in_common(a, b):\n"
            "    both = sum(1.0 * (a >= k) @ (b >= k).T for k in range(1, 10))\n"
            "    return a @ b.T / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1) - both, 1)",
            "not 6",
        ),
        ("what both have counted twice", [(" - both", "")], "counts twice"),
        ("blanks", [("np.where(either == 0, 1, either)", "either")], "two blank captions"),
        ("blanks alike by 1", [("return both /", "return (either == 0) + both /")], "captions [0, 0]: 0.0000 is right"),
        (
            "words that occur, over all counts",
            "def in_common(a, b):\n"
            "    both = sum(1.0 * (a >= k) @ (b >= k).T for k in range(1, 10))\n"
            "    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - both\n"
            "    return 1.0 * (a > 0) @ (b > 0).T / np.maximum(either, 1)",
            "as large as the largest count",
        ),
        ("k ends too early", [("top + 1", "top")], "is right"),
        ("k begins at 0", [("range(1,", "range(0,")], "is right"),
        ("> for >=", [("(b >= k)", "(b > k)")], "is right"),
        ("transposed", [("return both / np.where(either == 0, 1, either)", "return both.T")], "(60, 50), not (50, 60)"),
        (
            "an array of all three",
            "def in_common(a, b):\n"
            "    low, high = (f(a[:, None], b).sum(axis=2) for f in (np.minimum, np.maximum))\n"
            "    return low / np.maximum(high, 1)",
            "(I, J, G) was held",
        ),
    ],
}
ROWS = [(key, *row) for key, rows in WRONG.items() for row in rows]

ALSO_RIGHT = [  # (exercise, what is different, the answer): right, though not the solution's way
    (
        "01",
        "entry by entry",
        "def my_slopes(f, x):\n"
        "    out = []\n"
        "    for i in range(len(x)):\n"
        "        y = x.astype(complex)\n"
        "        y[i] += 1e-30j\n"
        "        out.append(f(y).imag / 1e-30)\n"
        "    return out",
    ),
    ("01b", "a longer step", "h32 = 4e-3"),
    (
        "02",
        "with einsum",
        "def scaled_linear_backward(dy, cache):\n"
        "    x, w, g = cache\n"
        "    dx, dw = np.einsum('nd,d,cd->nc', dy, g, w), np.einsum('nc,nd,d->cd', x, dy, g)\n"
        "    return dx, dw, np.einsum('nd,nc,cd->d', dy, x, w)",
    ),
    (
        "04",
        "pixel by pixel",
        "def conv_input_gradient(dy, w):\n"
        "    n, height, width = dy.shape[:3]\n"
        "    k, c = w.shape[0], w.shape[2]\n"
        "    dx = np.zeros((n, height, width, c))\n"
        "    for p, q, i, j in np.ndindex(height, width, k, k):\n"
        "        row, column = p + i - k // 2, q + j - k // 2\n"
        "        if 0 <= row < height and 0 <= column < width:\n"
        "            dx[:, row, column] += dy[:, p, q] @ w[i, j].T\n"
        "    return dx",
    ),
    (
        "05",
        "the chunks",
        "def one_line(dx_hat, x_hat, s):\n"
        "    c, m = x_hat / s, len(x_hat)\n"
        "    dvar = -0.5 * s**3 * (dx_hat * c).sum(axis=0)\n"
        "    dc = s * dx_hat + 2 * c * dvar / m\n"
        "    return dc - dc.sum(axis=0) / m",
    ),
    (
        "06",
        "both parts",
        "def orthogonality_gradient(z):\n    g = z.T @ z - np.eye(z.shape[1])\n    return 2 * z @ g + 2 * z @ g.T",
    ),
    (
        "09",
        "the decay first",
        "def my_adamw(theta, g, m, v, t, rate, decay):\n"
        "    theta *= 1 - rate * decay\n"
        "    m += 0.1 * (g - m)\n"
        "    v += 0.001 * (g * g - v)\n"
        "    theta -= rate * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)",
    ),
    ("10", "another pair", 'liked_by_precision_at_5, liked_by_ap = "0110100001", "1100001100"'),
    (
        "10b",
        "all orders",
        "def fair_reciprocal_rank(distances, relevant):\n"
        "    found = []\n"
        "    for order in map(list, permutations(range(len(distances)))):\n"
        "        if (np.diff(distances[order]) >= 0).all():\n"
        "            found.append(Fraction(1, 1 + int(np.argmax(relevant[order]))))\n"
        "    return sum(found) / len(found)",
    ),
    (
        "11",
        "one shuffle of all scenes",
        "def leak_free(kind, scene, share, rng):\n"
        "    test = np.zeros(len(kind), dtype=bool)\n"
        "    order = rng.permutation(np.unique(scene))\n"
        "    for k in np.unique(kind):\n"
        "        own = [s for s in order if kind[scene == s][0] == k]\n"
        "        test |= np.isin(scene, own[: round(share * len(own))])\n"
        "    return test",
    ),
    (
        "12",
        "the boxes are called and mended",
        "def mended_1(dy, cache):\n"
        "    x, root = cache\n"
        "    y = x / root\n"
        "    return box_1(dy.copy(), cache) - y * (dy * y).sum(axis=1, keepdims=True) / root\n"
        "\n"
        "\n"
        "def mended_2(dy, cache):\n"
        "    x, s = cache\n"
        "    return box_2(dy, cache).astype(dy.dtype) - dy * x * s * s\n"
        "\n"
        "\n"
        "def mended_3(dy, cache):\n"
        "    da = np.nan_to_num(box_3(dy, cache)[0])\n"
        "    return da, -da\n"
        "\n"
        "\n"
        "repaired = {'box 1': mended_1, 'box 2': mended_2, 'box 3': mended_3}",
    ),
    (
        "13",
        "functions of the library",
        "def entropy(u):\n"
        "    xp = get_xp(u)\n"
        "    z = u - xp.max(u, axis=1, keepdims=True)\n"
        "    logp = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))\n"
        "    return -(xp.exp(logp) * logp).sum(axis=1)",
    ),
    (
        "13",
        "an axis put back",
        "def entropy(u):\n"
        "    xp = get_xp(u)\n"
        "    z = u - u.max(axis=1)[:, None]\n"
        "    e = xp.exp(z)\n"
        "    p = e / e.sum(axis=1)[:, None]\n"
        "    return xp.log(e.sum(axis=1)) - xp.sum(p * z, axis=1)",
    ),
    (
        "20",
        "a loop over the words",
        "def bag_backward(dy, cache):\n"
        "    e, gain, words = cache\n"
        "    de = np.zeros_like(e)\n"
        "    for word in TEXT:\n"
        "        de[word] += dy * gain\n"
        "    return de, dy * words.sum(axis=0)",
    ),
    (
        "21",
        "with sums",
        "def mystery_backward(dy, cache):\n"
        "    x, w, gain, c, v, h = cache\n"
        "    dh = dy * gain / np.cosh(h) ** 2\n"
        "    dc = (dh - h * (dh * h).mean(axis=0)) / np.sqrt(v)\n"
        "    da = dc - dc.sum(axis=1, keepdims=True) / c.shape[1]\n"
        "    return da @ w.T, x.T @ da, (dy * np.tanh(h)).sum(axis=0)",
    ),
    (
        "22",
        "with einsum",
        "def squeezed_gate_backward(dy, cache):\n"
        "    x, w, mean, a = cache\n"
        "    du = np.einsum('npc,npc,nc,nc->nc', dy, x, a, 1 - a)\n"
        "    path = np.repeat((du @ w.T)[:, None] / x.shape[1], x.shape[1], axis=1)\n"
        "    return path + dy + dy * a[:, None], mean.T @ du, du.sum(axis=0)",
    ),
    (
        "23",
        "the halves apart",
        "def literal_backward(dy, cache):\n"
        "    s, k, w, of_s, of_k, g = cache\n"
        "    w_s, w_k = np.split(w, 2)\n"
        "    dz = g * (1 - g) * (s - k) * dy\n"
        "    ds = unit_rows_backward(dz @ w_s.T, of_s) + g * dy\n"
        "    dk = unit_rows_backward(dz @ w_k.T, of_k) + dy - g * dy\n"
        "    return ds, dk, np.hstack([of_s.y, of_k.y]).T @ dz, dz.sum(axis=0)",
    ),
    (
        "23b",
        "word by word",
        "def in_common(a, b):\n"
        "    both = np.zeros((len(a), len(b)))\n"
        "    for of_a, of_b in zip(a.T, b.T, strict=True):\n"
        "        both += np.minimum(of_a[:, None], of_b)\n"
        "    either = a.sum(axis=1, keepdims=True) + b.sum(axis=1) - both\n"
        "    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)",
    ),
]
