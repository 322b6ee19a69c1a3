"""Training of the hashing networks, step by step and as a whole."""

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.backend import generator
from cmir_ref.errors import InputError
from cmir_ref.hashing.baselines import class_probabilities
from cmir_ref.hashing.cca import cca
from cmir_ref.hashing.codes import centred_signs, codes, project_features, storage_bits
from cmir_ref.hashing.dcmh import hash_codes, init_hash_network
from cmir_ref.hashing.fit import HashingSettings, fit_dcmh, fit_sidhcnn
from cmir_ref.hashing.scm import scm_orthogonal, scm_sequential
from cmir_ref.retrieval import evaluate_direction
from cmir_ref.retrieval.translation import through_pairs
from cmir_ref.training.inputs import epoch_batches

SMALL = HashingSettings(bits=4, hidden=6, gamma=0.7, eta=0.3, mu=0.6, epochs=2, batch_size=5, lr=0.01, seed=3)
FITS = pytest.mark.parametrize("fit", [fit_dcmh, fit_sidhcnn])


def vectors(n=240, seed=0):
    """Paired features of about unit scale, and their classes: (z_a, z_b, labels)."""
    data = worlds.features(n=n, paired=True, seed=seed)
    a, b = ((m.x - m.x.mean(axis=0)) / m.x.std(axis=0) for m in data.modalities.values())
    return a, b, data.modalities["a"].labels


class ByHand:
    """A hashing network, its Adam and its gradients from the textbook, in float64."""

    def __init__(self, name, z, settings, steps):
        draws = generator(settings.seed, f"hashing/{name}")
        start = init_hash_network(z.shape[1], settings.bits, draws, hidden=settings.hidden)
        self.p = {k: v.astype(np.float64) for k, v in start.items()}
        self.m, self.v = ({k: 0 * x for k, x in self.p.items()} for _ in "mv")
        self.z, self.t, self.steps, self.lr = z.astype(np.float64), 0, steps, settings.lr

    def __call__(self):
        self.h = np.maximum(self.z @ self.p["hash.1.w"] + self.p["hash.1.b"], 0)
        return self.h @ self.p["hash.2.w"] + self.p["hash.2.b"]

    def step(self, index, df):
        self()
        h = self.h[index]
        dh = df @ self.p["hash.2.w"].T * (h > 0)
        grads = {"hash.1.w": self.z[index].T @ dh, "hash.1.b": dh.sum(0), "hash.2.w": h.T @ df, "hash.2.b": df.sum(0)}
        lr = self.lr * (1 + np.cos(np.pi * self.t / self.steps)) / 2
        self.t += 1
        for k, g in grads.items():
            self.m[k] = 0.9 * self.m[k] + 0.1 * g
            self.v[k] = 0.999 * self.v[k] + 0.001 * g * g
            self.p[k] -= lr * self.m[k] / (1 - 0.9**self.t) / (np.sqrt(self.v[k] / (1 - 0.999**self.t)) + 1e-8)


def slope(f, g, s):
    return 1 / (1 + np.exp(-f @ g.T / 2)) - s


def loss(f, g, s):
    """Minus the logarithm of the likelihood of the similarity s."""
    product = f @ g.T / 2
    return np.sum(np.log1p(np.exp(product)) - s * product)


def far(out, codes, s):
    """What the outputs of one network cost for not being codes, and for leaning to one side."""
    return s.gamma * np.sum((codes - out) ** 2) + s.eta * np.sum(out.sum(axis=0) ** 2)


def by_hand(z_a, z_b, labels, s, within):
    """(outputs of a, outputs of b, B, the loss of each epoch) after training, from the formulas for all pairs."""
    rows, similar = np.arange(len(z_a)), labels[:, None] == labels
    steps = s.epochs * -(-len(rows) // s.batch_size)
    a, b = (ByHand(name, z, s, steps) for name, z in (("a", z_a), ("b", z_b)))
    codes, losses = np.where(a() + b() >= 0, 1, -1), []
    for epoch in range(s.epochs):
        j, batches = [], list(epoch_batches(rows, s.batch_size, s.seed, "hashing", epoch))
        if within:
            for i in batches:
                f, g, same = a()[i], b()[i], similar[i][:, i]
                one = loss(f, g, same) + s.mu * (loss(f, f, same) + loss(g, g, same))
                j.append((one + far(f, codes[i], s) + far(g, codes[i], s)) / len(i) ** 2)
                for net, own, other in ((a, f, g), (b, g, f)):
                    d = 0.5 * slope(own, other, same) @ other + s.mu * slope(own, own, same) @ own
                    d += 2 * s.gamma * (own - codes[i]) + 2 * s.eta * own.sum(axis=0)
                    net.step(i, d / len(i) ** 2)
        else:
            for net, other in ((a, b), (b, a)):
                for i in batches:
                    out, g = net(), other()
                    d = 0.5 * slope(out, g, similar) @ g + 2 * s.gamma * (out - codes) + 2 * s.eta * out.sum(axis=0)
                    one = loss(out[i], g, similar[i]) + far(g, codes, s) + s.eta * np.sum(out.sum(axis=0) ** 2)
                    j.append((one + s.gamma * np.sum((codes[i] - out[i]) ** 2)) / (len(i) * len(rows)))
                    net.step(i, d[i] / (len(i) * len(rows)))
        codes = np.where(a() + b() >= 0, 1, -1)
        losses.append(np.mean(j))
    return a, b, codes, losses


@FITS
def test_two_epochs_are_the_textbooks(fit):
    z_a, z_b, labels = vectors(12)
    found = fit(z_a, z_b, labels, SMALL)
    a, b, codes, losses = by_hand(z_a, z_b, labels, SMALL, within=fit is fit_sidhcnn)
    for ours, theirs in ((found.a, a), (found.b, b)):
        for name, w in ours.items():
            np.testing.assert_allclose(w, theirs.p[name], rtol=1e-3, atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(found.codes, codes)
    assert found.losses == pytest.approx(losses, rel=1e-4)


@FITS
def test_the_same_seed_gives_the_same_bits_and_another_does_not(fit):
    data = vectors(20)
    one, same, other = fit(*data, SMALL), fit(*data, SMALL), fit(*data, SMALL._replace(seed=4))
    assert one.a.flat.tobytes() == same.a.flat.tobytes() and one.losses == same.losses
    assert one.a.flat.tobytes() != other.a.flat.tobytes()


@FITS
def test_every_setting_changes_the_result(fit):
    data = vectors(20)
    unread = {"mu"} if fit is fit_dcmh else set()
    expected = fit(*data, SMALL).a.flat
    for name in HashingSettings._fields:
        found = fit(*data, SMALL._replace(**{name: getattr(SMALL, name) * 2})).a.flat
        assert (found.shape == expected.shape and np.array_equal(found, expected)) == (name in unread), name


@FITS
def test_classes_and_their_indicators_are_the_same_labels(fit):
    z_a, z_b, labels = vectors(20)
    one, other = fit(z_a, z_b, labels, SMALL), fit(z_a, z_b, np.eye(4, dtype=np.uint8)[labels], SMALL)
    assert one.a.flat.tobytes() == other.a.flat.tobytes()


Z_A, Z_B, Y = vectors(20)


@FITS
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"z_b": Z_B[:-1]}, "z_a has 20 rows and z_b 19"),
        ({"z_a": Z_A * np.nan}, "z_a: not all features are finite"),
        ({"labels": Y[:-1]}, "labels: expected"),
        ({"settings": SMALL._replace(bits=0)}, "bits is 0: it has to be positive"),
        ({"settings": SMALL._replace(eta=-1.0)}, "eta is -1.0: it has to be 0 or more"),
    ],
)
def test_bad_input_is_named(fit, change, says):
    with pytest.raises(InputError, match=says) as error:
        fit(**{"z_a": Z_A, "z_b": Z_B, "labels": Y, "settings": SMALL} | change)
    assert "\n" not in str(error.value)


def test_a_loss_that_is_not_finite_is_said():
    with pytest.raises(FloatingPointError, match="hashing, epoch 1"), np.errstate(all="ignore"):
        fit_dcmh(1e30 * Z_A, 1e30 * Z_B, Y, SMALL)


# ---- a tiny world ---------------------------------------------------------------------------------------------------

TRAIN, TEST = slice(0, 160), slice(160, 240)


def linear(fit, read):
    def embed(a, b, y):
        found = fit(a[TRAIN], b[TRAIN], y[TRAIN])
        return read(a[TEST], found.a), read(b[TEST], found.b)

    return embed


def network(fit):
    settings = HashingSettings(bits=8, hidden=32, epochs=60, batch_size=32, lr=3e-3)
    return linear(lambda a, b, y: fit(a, b, y, settings), lambda z, params: hash_codes(params, z))


def probabilities(a, b, y):
    """Of a linear classifier of each modality."""

    def embed(z):
        x = np.hstack([z, np.ones((len(z), 1))])
        w = np.linalg.lstsq(x[TRAIN], np.eye(4)[y[TRAIN]], rcond=None)[0]
        return class_probabilities(5 * x[TEST] @ w)

    return embed(a), embed(b)


METHODS = {  # name: (embeddings of the test pairs, bits of one)
    "SCM, orthogonal": (linear(lambda *x: scm_orthogonal(*x, 3), codes), 3),
    "SCM, sequential": (linear(lambda *x: scm_sequential(*x, 8), codes), 8),
    "DCMH": (network(fit_dcmh), 8),
    "SIDHCNN, reconstruction": (network(fit_sidhcnn), 8),
    "CCA": (linear(lambda a, b, y: cca(a, b, 3), project_features), 96),
    "CCA, signs": (linear(lambda a, b, y: cca(a, b, 3), codes), 3),
    "neighbours in Z": (lambda a, b, y: (through_pairs(a[TEST], a[TRAIN], b[TRAIN]), b[TEST]), 256),
    "class probabilities": (probabilities, 128),
}


@pytest.mark.parametrize("method", METHODS)
def test_retrieves_far_above_chance(method):
    embed, bits = METHODS[method]
    z_a, z_b, labels = vectors()
    v_a, v_b = embed(z_a, z_b, labels)
    for query, gallery in ((v_a, v_b), (v_b, v_a)):
        found = evaluate_direction(query, labels[TEST], gallery, labels[TEST])
        assert found["map"] > found["chance"] + 0.4
        assert storage_bits(query) == storage_bits(gallery) == bits


def test_the_signs_of_cmir_nets_embeddings_retrieve_too():
    longer = [f"{stage}.{change}" for stage in ("stage1", "stage2") for change in ("epochs=60", "lr=0.02")]
    run = runs.train(worlds.config(*longer, "d_v=16"), worlds.features(n=120, paired=True))
    embedded, labels = [], []
    for m in "ab":
        v, train, test = run.encoded[m]["v"], run.parts.train[m], run.parts.test[m]
        embedded.append(centred_signs(v[test], v[train].mean(axis=0)))
        labels.append(run.dataset.modalities[m].labels[test])
    found = evaluate_direction(embedded[0], labels[0], embedded[1], labels[1])
    assert found["map"] > found["chance"] + 0.4
    assert [storage_bits(v) for v in embedded] == [16, 16]
