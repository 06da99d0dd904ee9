"""The results of a database of advrec in Python: `python3 docs/example.py [advrec.db]`.

Nothing but Python's own sqlite3 is needed (SQLite 3.38 or later); where pandas or polars is installed, the
last cells use it. Editors that know `# %%` run it cell by cell. What the views and columns mean is in
docs/views.md and docs/schema.md.
"""

import json
import pathlib
import sqlite3
import sys

# %% Open the database, for reading only: a sweep may be writing it.
path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "advrec.db").resolve()
db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
db.row_factory = sqlite3.Row

# %% Ranking under each attack: Table 1. NDCG is in percent; lower and upper are the 95 % interval over seeds.
TABLE1 = """
    SELECT attack, epsilon, value, lower, upper, n FROM table1
    WHERE metric = 'ndcg' AND split = 'valid' ORDER BY value DESC
"""
print("attack        epsilon    NDCG   95 % interval  seeds")
for row in db.execute(TABLE1):
    epsilon = "" if row["epsilon"] is None else f"{row['epsilon']:g}"
    # One seed has no interval.
    interval = "" if row["lower"] is None else f"{row['lower']:.2f} to {row['upper']:.2f}"
    print(f"{row['attack']:12}{epsilon:>9}{row['value']:8.2f}{interval:>16}{row['n']:7}")

# %% Any parameter of a row is in its JSON, by the names that `advrec plan --parameters` lists.
BY_PARAMETER = """
    SELECT json_extract(parameters, '$."agent.hidden"') AS hidden, count(*) AS rows
    FROM table1 GROUP BY hidden ORDER BY hidden
"""
for row in db.execute(BY_PARAMETER):
    print(f"hidden layers {json.loads(row['hidden'])}: {row['rows']} rows of Table 1")

# %% Each seed by itself, and not their mean: the cells with the metrics of their rankings.
BY_SEED = """
    SELECT json_extract(c.params, '$.attack') AS attack, json_extract(c.params, '$.seed') AS seed, m.value
    FROM cell_results c JOIN metrics m ON m.stage_key = c.ranking
    WHERE m.name = 'ndcg' AND m.split = 'valid' ORDER BY attack, seed
"""
for row in db.execute(BY_SEED):
    print(f"{row['attack']} with seed {row['seed']}: {row['value']:.2f}")

# %% Which program made the numbers, and whether any is not to be taken at face value.
for row in db.execute("SELECT provenance, count(*) AS stages FROM runs WHERE state = 'done' GROUP BY provenance"):
    made = json.loads(row["provenance"])
    print(f"{row['stages']} stages by advrec {made['version']} of commit {made['git_commit']}")
for row in db.execute("SELECT flag, count(*) AS results FROM flags GROUP BY flag"):
    print(f"flag {row['flag']}: {row['results']} results")

# %% The same as a data frame of pandas: a row an attack, a column a metric.
try:
    import pandas
except ImportError:
    print("pandas is not installed")
else:
    frame = pandas.read_sql_query("SELECT * FROM table1 WHERE split = 'valid'", db)
    frame = frame.fillna({"epsilon": 0})
    print(frame.pivot_table(index=["attack", "epsilon"], columns="metric", values="value"))

# %% And of polars. Large tables are faster by way of `advrec export metrics --out metrics.parquet`.
try:
    import polars
except ImportError:
    print("polars is not installed")
else:
    query = "SELECT attack, epsilon, metric, value FROM table1 WHERE split = 'valid'"
    frame = polars.read_database(query, db, infer_schema_length=None)
    print(frame.pivot(on="metric", index=["attack", "epsilon"], values="value"))
