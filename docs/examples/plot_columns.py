"""
===========================================================
How do you feed categories and missing values to a network?
===========================================================

A network computes with numbers: it needs categories in columns of 0 and 1, a number where a value
is missing, and columns on a common scale. A pipeline does all this, and learns it from the training
rows alone.

The 442 patients of the diabetes data have measurements in their own units and a sex. Nothing is
missing, so we delete every tenth measurement at random.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknet import MLPRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X.rename(
    columns={
        "bmi": "body mass index",
        "bp": "blood pressure",
        "s5": "log triglycerides",
        "s6": "glucose",
    }
)
X["sex"] = X["sex"].map({1: "first", 2: "second"})  # the data do not say which is which
measurements = list(X.columns.drop("sex"))
X[measurements] = X[measurements].mask(np.random.default_rng(0).random((442, 9)) < 0.1)
X.head()

# %%
# Categories go through one branch of the pipeline and measurements through the other. The imputer
# fills in medians, and adds a column of 0 and 1 for each measurement that says where it did so.

columns = make_column_transformer(
    (OneHotEncoder(drop="if_binary", handle_unknown="ignore"), ["sex"]),
    (
        make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
        measurements,
    ),
)
net = MLPRegressor(
    hidden_layer_sizes=(20,), alpha=10, solver="lbfgs", max_iter=1000, random_state=0
)
model = TransformedTargetRegressor(make_pipeline(columns, net), transformer=StandardScaler())
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
model.fit(X_train, y_train)
print(f"R2 on the test patients: {model.score(X_test, y_test):.2f}")

# %%
# As the pipeline takes the frame as it is, each column can be shuffled among the test patients to
# see how much the prediction relies on it.

importance = permutation_importance(model, X_test, y_test, n_repeats=30, random_state=0)
order = importance.importances_mean.argsort()
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.boxplot(importance.importances[order].T, orientation="horizontal", tick_labels=X.columns[order])
ax.axvline(0, color="0.5", linewidth=0.8)
ax.set(xlabel="Loss of R2 when the column is shuffled")

# %%
# The body mass index and the triglycerides matter most. Each box shows thirty ways to shuffle a
# column. Where it reaches across zero, the network predicts as well without that column.
# :doc:`/guide/preprocessing` has more recipes.
