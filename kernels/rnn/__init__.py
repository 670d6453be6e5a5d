"""Recurrent nets over a sequence: LSTM, GRU, and the plain net with tanh or relu."""
