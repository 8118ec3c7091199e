"""One fit: no scikit-learn, no estimator."""
