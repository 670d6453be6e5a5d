"""Mutation testing: is every operator, number and condition of the engine held by a test?

``python -m tests.mutation`` changes one of them at a time (``mutants.py``), and for each change runs the tests that
reach the changed line (``reaching.py``) in a forked process that imports the changed module (``running.py``). A change
that no test notices *survives*: a test is missing, or the change makes no difference, and then ``answers.py`` says why.

The score is the share of mutants killed among those that are not answered. Results are kept in ``build/mutation``: a
second run asks only what it has not asked of the same sources.
"""
