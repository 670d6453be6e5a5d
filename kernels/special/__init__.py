"""Special functions: error function, gamma and its kin, sinc, modified Bessel functions."""
