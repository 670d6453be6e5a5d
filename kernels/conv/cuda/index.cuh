// Flat indices to digits without a division, which would take tens of instructions: n / d is a multiplication by a number
// of 33 bits, found on the host (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994).

#pragma once

struct Divisor {
    unsigned value, multiplier, shift;
};

// The last digit of an index below 2^31; the others are left.
__device__ inline int digit(int &rest, const Divisor &by)
{
    int quotient = (__umulhi(rest, by.multiplier) + rest) >> by.shift;
    int found = rest - quotient * by.value;
    rest = quotient;
    return found;
}

// Of depth, height, width.
struct Digits {
    Divisor d, h, w;
};

struct Index {
    Digits size, out, kernel;
};
