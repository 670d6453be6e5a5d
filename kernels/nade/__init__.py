"""Neural autoregressive distribution estimator: frames of binary notes, likelihood, gradient and sampling."""
