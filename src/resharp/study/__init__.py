"""A blind pairwise user study: pictures of several methods, a web page that asks, and the analysis of the answers.

The paper compares methods by such a study (arXiv 2212.01789, section on RealBlur-J). Serving knows nothing of scoring:
they meet in the results file, an SQLite database.
"""
