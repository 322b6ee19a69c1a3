"""The map from the paper's equations to this code and its checks. README's table is made from it."""

from typing import NamedTuple


class Equation(NamedTuple):
    """One row of the map."""

    number: str  # of the paper
    name: str
    formula: str
    function: str  # dotted path below cmir_ref
    check: str  # a name that `cmir-ref gradcheck` knows
    lesson: str  # derives it, under a heading that ends in (eq. N)


EQUATIONS = (
    Equation(
        "1",
        "pretraining",
        "CE + ‖ZᵀZ − I‖²_F",
        "cmirnet.eq1_pretraining.pretraining_loss",
        "eq1",
        "06_soft_orthogonality",
    ),
    Equation("2", "alignment", "‖V_a − V_b‖²_F", "cmirnet.eq2_alignment.alignment", "eq2", "07_shared_space"),
    Equation(
        "3", "classification", "CE(V_ab w_c, Y)", "cmirnet.eq3_classification.classification", "eq3", "07_shared_space"
    ),
    Equation(
        "4", "feature norm", "‖V_a‖²_F + ‖V_b‖²_F", "cmirnet.eq4_feature_norm.feature_norm", "eq4", "07_shared_space"
    ),
    Equation(
        "5",
        "reconstruction",
        "‖D_ab(V_a) − Z_b‖²_F + ‖D_ba(V_b) − Z_a‖²_F",
        "cmirnet.eq5_reconstruction.reconstruction",
        "eq5",
        "07_shared_space",
    ),
    Equation("6", "total", "λ₁L₂ + λ₂L₃ + λ₃L₄ + λ₄L₅ + λ₅R", "cmirnet.eq6_total.total", "eq6", "09_training"),
    Equation(
        "7",
        "α-regulariser",
        "‖w_a − α‖²_F + ‖w_b − α‖²_F",
        "cmirnet.eq7_regulariser.regulariser",
        "eq7",
        "08_why_alpha",
    ),
    Equation(
        "8",
        "Algorithm 1's objective",
        "eq. 6 without R (weights.regulariser = 0), through the latent network",
        "cmirnet.objective.objective",
        "objective",
        "09_training",
    ),
)


def markdown() -> str:
    """The map as a Markdown table."""
    rows = ["| eq. | what | formula | file | check | lesson |", "|---|---|---|---|---|---|"]
    for e in EQUATIONS:
        module, _, name = e.function.rpartition(".")
        path = "cmir_ref/" + module.replace(".", "/") + ".py"
        check, lesson = f"`cmir-ref gradcheck {e.check}`", f"[{e.lesson[:2]}](lessons/{e.lesson}.ipynb)"
        rows.append(f"| {e.number} | {e.name} | {e.formula} | [`{name}`]({path}) | {check} | {lesson} |")
    return "\n".join(rows)
