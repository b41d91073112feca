"""Quantiles of the normal and Student's t distribution, without the second that importing SciPy takes."""

from __future__ import annotations

from math import cos, expm1, pi, sin, sqrt
from statistics import NormalDist

NORMAL = NormalDist()


def normal(tail: float) -> float:
    """The standard normal quantile at probability `tail`.

    >>> round(normal(0.975), 4)
    1.96
    """
    return NORMAL.inv_cdf(tail)


def student(freedom: float, tail: float) -> float:
    """The quantile of Student's t at probability `tail` above one half, with `freedom` degrees, at least 1.

    Hill, "Algorithm 396: Student's t-quantiles", Communications of the ACM 13, 1970. Right to four digits from two
    degrees on, to 5 % between one and two.

    >>> [round(student(n, 0.975), 3) for n in (1, 2, 7, 30)]
    [12.706, 4.303, 2.365, 2.042]
    """
    both = 2 * (1 - tail)
    if freedom <= 1:
        return cos(both * pi / 2) / sin(both * pi / 2)
    if freedom == 2:
        return sqrt(2 / (both * (2 - both)) - 2)
    n = freedom
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * pi / 2) * n
    y = (d * both) ** (2 / n)
    if y > 0.05 + a:
        x = normal(both / 2)
        y = x**2
        if n < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = expm1(a * y**2)
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
    return sqrt(n * y)
