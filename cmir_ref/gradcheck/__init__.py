"""Numerical differentiation: is a backward function the derivative of its forward?

from cmir_ref.gradcheck import check_gradient
for result in check_gradient(my_op, my_op_backward, [x, w, b]):
    print(result.input, result.method, result.error)
"""

from .check import METHODS, check_gradient
from .compare import Result, relative_error
from .findings import Finding, Judgement
from .judgement import explain, judge
from .module import load_pair
from .numeric import central_difference, complex_step, directional
from .steps import Steps, first_wrong, judge_steps, load_steps
from .trial import Pair

__all__ = [
    "METHODS",
    "Finding",
    "Judgement",
    "Pair",
    "Result",
    "Steps",
    "central_difference",
    "check_gradient",
    "complex_step",
    "directional",
    "explain",
    "first_wrong",
    "judge",
    "judge_steps",
    "load_pair",
    "load_steps",
    "relative_error",
]
