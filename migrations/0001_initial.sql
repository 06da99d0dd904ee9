-- Tables that the orchestrator writes, and views that people query. Names and columns of both are
-- public. No STRICT tables and no mathematical functions, so that the SQLite of most systems and of
-- Python reads the file (it needs JSON, which is built in since 3.38).
-- Times are UTC text such as 2026-01-31T12:00:00.000Z; durations are seconds.

PRAGMA application_id = 0x61647672; -- "advr"

CREATE TABLE datasets (
    name    TEXT PRIMARY KEY,
    key     TEXT NOT NULL,              -- of its artefact
    source  TEXT NOT NULL,              -- where it came from, for people
    summary TEXT NOT NULL CHECK (json_valid(summary)),
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE imports (
    id            TEXT PRIMARY KEY,     -- what a grid calls it
    dataset       TEXT NOT NULL REFERENCES datasets (name),
    embedding_key TEXT NOT NULL,
    agent_key     TEXT NOT NULL,
    created       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE grids (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    digest  TEXT NOT NULL UNIQUE,
    yaml    TEXT NOT NULL,
    path    TEXT NOT NULL,
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    swept   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) -- start of the last sweep
);
CREATE INDEX grids_by_name ON grids (name, swept);

CREATE TABLE cells (
    id      INTEGER PRIMARY KEY,
    grid_id INTEGER NOT NULL REFERENCES grids (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,           -- place in the grid, from 0
    params  TEXT NOT NULL CHECK (json_valid(params)),  -- object, by the catalogue's names
    axes    TEXT NOT NULL CHECK (json_valid(axes)),    -- array: names of what the grid varies
    UNIQUE (grid_id, ordinal)
);

CREATE TABLE stages (
    key     TEXT PRIMARY KEY,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    params  TEXT NOT NULL CHECK (json_valid(params)),
    state   TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'running', 'done', 'failed', 'blocked'))
);
CREATE INDEX stages_by_kind ON stages (kind, state);

-- An input may be made outside every grid (a dataset, imported weights): no foreign key.
CREATE TABLE stage_inputs (
    stage_key TEXT NOT NULL REFERENCES stages (key) ON DELETE CASCADE,
    role      TEXT NOT NULL,
    input_key TEXT NOT NULL,
    PRIMARY KEY (stage_key, role)
) WITHOUT ROWID;
CREATE INDEX stage_inputs_by_input ON stage_inputs (input_key);

CREATE TABLE cell_stages (
    cell_id   INTEGER NOT NULL REFERENCES cells (id) ON DELETE CASCADE,
    stage_key TEXT NOT NULL REFERENCES stages (key),
    PRIMARY KEY (cell_id, stage_key)
) WITHOUT ROWID;
CREATE INDEX cell_stages_by_stage ON cell_stages (stage_key);

CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY,
    stage_key   TEXT NOT NULL REFERENCES stages (key) ON DELETE CASCADE,
    worker      TEXT NOT NULL,          -- host, process and device
    state       TEXT NOT NULL
        CHECK (state IN ('running', 'done', 'failed', 'lost', 'interrupted')),
    started     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    ended       TEXT,
    wall_s      REAL,
    cpu_s       REAL,
    peak_mib    REAL,                   -- largest resident memory of the worker during the stage
    exit_status INTEGER,                -- of a worker that ended by itself
    signal      INTEGER,                -- that ended the worker
    error       TEXT,
    log_path    TEXT,
    provenance  TEXT CHECK (provenance IS NULL OR json_valid(provenance))
);
CREATE INDEX attempts_by_stage ON attempts (stage_key, id);
CREATE INDEX attempts_running ON attempts (state) WHERE state = 'running';

-- SQLite turns NaN into NULL, so NOT NULL keeps it out; the checks keep out the infinities.
CREATE TABLE metrics (
    stage_key TEXT NOT NULL REFERENCES stages (key) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    split     TEXT NOT NULL,
    value     REAL NOT NULL CHECK (abs(value) <= 1.7976931348623157e308),
    n         INTEGER NOT NULL CHECK (n >= 0),
    lower     REAL CHECK (abs(lower) <= 1.7976931348623157e308),
    upper     REAL CHECK (abs(upper) <= 1.7976931348623157e308),
    PRIMARY KEY (stage_key, name, split)
) WITHOUT ROWID;

-- 97.5 % quantile of Student's t. Between two degrees of freedom that are here, the smaller one
-- counts, which gives the wider interval; the last row is the normal limit.
CREATE TABLE t_quantiles (df INTEGER PRIMARY KEY, t975 REAL NOT NULL);
INSERT INTO t_quantiles (df, t975) VALUES
    (1,12.706205), (2,4.302653), (3,3.182446), (4,2.776445), (5,2.570582), (6,2.446912),
    (7,2.364624), (8,2.306004), (9,2.262157), (10,2.228139), (11,2.200985), (12,2.178813),
    (13,2.160369), (14,2.144787), (15,2.131450), (16,2.119905), (17,2.109816), (18,2.100922),
    (19,2.093024), (20,2.085963), (21,2.079614), (22,2.073873), (23,2.068658), (24,2.063899),
    (25,2.059539), (26,2.055529), (27,2.051831), (28,2.048407), (29,2.045230), (30,2.042272),
    (31,2.039513), (32,2.036933), (33,2.034515), (34,2.032245), (35,2.030108), (36,2.028094),
    (37,2.026192), (38,2.024394), (39,2.022691), (40,2.021075), (41,2.019541), (42,2.018082),
    (43,2.016692), (44,2.015368), (45,2.014103), (46,2.012896), (47,2.011741), (48,2.010635),
    (49,2.009575), (50,2.008559), (51,2.007584), (52,2.006647), (53,2.005746), (54,2.004879),
    (55,2.004045), (56,2.003241), (57,2.002465), (58,2.001717), (59,2.000995), (60,2.000298),
    (61,1.999624), (62,1.998972), (63,1.998341), (64,1.997730), (65,1.997138), (66,1.996564),
    (67,1.996008), (68,1.995469), (69,1.994945), (70,1.994437), (71,1.993943), (72,1.993464),
    (73,1.992997), (74,1.992543), (75,1.992102), (76,1.991673), (77,1.991254), (78,1.990847),
    (79,1.990450), (80,1.990063), (81,1.989686), (82,1.989319), (83,1.988960), (84,1.988610),
    (85,1.988268), (86,1.987934), (87,1.987608), (88,1.987290), (89,1.986979), (90,1.986675),
    (91,1.986377), (92,1.986086), (93,1.985802), (94,1.985523), (95,1.985251), (96,1.984984),
    (97,1.984723), (98,1.984467), (99,1.984217), (100,1.983972), (200,1.971896), (500,1.964720),
    (1000,1.962339), (1000000000,1.959964);

-- One row an attempt.
CREATE VIEW runs AS
SELECT a.id AS attempt, s.kind, s.key AS stage_key, a.state, a.worker, a.started, a.ended,
       a.wall_s, a.cpu_s, a.peak_mib, a.exit_status, a.signal, a.error, a.log_path,
       s.state AS stage_state, a.provenance
FROM attempts a JOIN stages s ON s.key = a.stage_key;

-- One row an attempt that failed or lost its worker; `stage_state` tells whether a later one did it.
CREATE VIEW failures AS
SELECT attempt, kind, stage_key, state, stage_state, ended, exit_status, signal, error, log_path,
       worker
FROM runs WHERE state IN ('failed', 'lost');

-- The grid that was swept last under each name: the one that the views of results speak of.
CREATE VIEW latest_grids AS
SELECT id, name FROM grids g
WHERE NOT EXISTS (
    SELECT 1 FROM grids n WHERE n.name = g.name AND (n.swept, n.id) > (g.swept, g.id));

-- Every metric of a cell's results (stages rollout, ranking, direct) over the seeds. `parameters`
-- is the JSON object of the parameters without the seed, which tell the rows apart; those of
-- `direct` are only the ones that its recommendations depend on. `n` counts stages: two cells that
-- share one count once.
CREATE VIEW seeds_summary AS
WITH results AS (
    SELECT DISTINCT g.name AS grid, s.kind, s.key AS stage_key,
           CASE s.kind
               WHEN 'direct' THEN (
                   SELECT json_group_object(key, value) FROM (
                       SELECT key, value FROM json_each(c.params)
                       WHERE key IN ('dataset', 'agent.imported', 'rollout.users')
                          OR key GLOB 'graph.*' OR key GLOB 'embedding.*'
                       ORDER BY key))
               ELSE json_remove(c.params, '$.seed')
           END AS parameters
    FROM latest_grids g
    JOIN cells c ON c.grid_id = g.id
    JOIN cell_stages cs ON cs.cell_id = c.id
    JOIN stages s ON s.key = cs.stage_key
    WHERE s.state = 'done' AND s.kind IN ('rollout', 'ranking', 'direct')
),
means AS (
    SELECT r.grid, r.kind, r.parameters, m.split, m.name AS metric, avg(m.value) AS value,
           min(m.value) AS minimum, max(m.value) AS maximum, count(*) AS n
    FROM results r JOIN metrics m ON m.stage_key = r.stage_key
    GROUP BY r.grid, r.kind, r.parameters, m.split, m.name
),
-- Squares of deviations from the mean, not a difference of sums: nearly equal values keep digits.
variances AS (
    SELECT a.grid, a.kind, a.parameters, a.split, a.metric, a.value, a.minimum, a.maximum, a.n,
           CASE WHEN a.n > 1
               THEN sum((m.value - a.value) * (m.value - a.value)) / (a.n - 1)
           END AS variance
    FROM means a
    JOIN results r ON r.grid = a.grid AND r.kind = a.kind AND r.parameters = a.parameters
    JOIN metrics m ON m.stage_key = r.stage_key AND m.name = a.metric AND m.split = a.split
    GROUP BY a.grid, a.kind, a.parameters, a.split, a.metric
),
-- Square roots by Newton's method from above, because many builds of SQLite have no sqrt.
deviations AS (
    SELECT v.*,
           CASE WHEN v.variance = 0 THEN 0.0 WHEN v.variance > 0 THEN (
               WITH RECURSIVE newton (root, step) AS (
                   SELECT max(v.variance, 1.0), 0
                   UNION ALL
                   SELECT (root + v.variance / root) / 2, step + 1 FROM newton
                   WHERE step < 100 AND abs(root * root - v.variance) > 1e-15 * v.variance)
               SELECT root FROM newton ORDER BY step DESC LIMIT 1)
           END AS deviation
    FROM variances v
),
-- Half the width of the 95 % interval: t·s/√n, with √n by the same method.
widths AS (
    SELECT d.*,
           CASE WHEN d.n > 1 THEN d.deviation
               * (SELECT t975 FROM t_quantiles WHERE df <= d.n - 1 ORDER BY df DESC LIMIT 1)
               / (WITH RECURSIVE newton (root, step) AS (
                      SELECT d.n * 1.0, 0
                      UNION ALL
                      SELECT (root + d.n / root) / 2, step + 1 FROM newton
                      WHERE step < 100 AND abs(root * root - d.n) > 1e-15 * d.n)
                  SELECT root FROM newton ORDER BY step DESC LIMIT 1)
           END AS half_width
    FROM deviations d
)
SELECT grid, kind, parameters, split, metric, value, deviation, value - half_width AS lower,
       value + half_width AS upper, minimum, maximum, n
FROM widths;

-- The paper's Table 1 and its controls: one row for every metric of every combination of
-- parameters but the seed. `lower` and `upper` are the ends of the 95 % t interval over seeds, NULL
-- with one seed.
CREATE VIEW table1 AS
WITH frequencies AS (
    SELECT grid, parameters, value FROM seeds_summary
    WHERE kind = 'rollout' AND metric = 'realised_frequency' AND split = 'all'
)
SELECT s.grid,
       json_extract(s.parameters, '$.dataset') AS dataset,
       CASE
           WHEN s.kind = 'direct' THEN 'direct'
           WHEN json_extract(s.parameters, '$."agent.imported"') IS NOT NULL
               THEN 'imported:' || json_extract(s.parameters, '$."agent.imported"')
           ELSE json_extract(s.parameters, '$."agent.algorithm"')
       END AS agent,
       coalesce(json_extract(s.parameters, '$.attack'), 'none') AS attack,
       coalesce(json_extract(s.parameters, '$.attack'), 'none') AS definition,
       json_extract(s.parameters, '$.epsilon') AS epsilon,
       json_extract(s.parameters, '$.objective') AS objective,
       json_extract(s.parameters, '$.timing') AS timing,
       json_extract(s.parameters, '$.frequency') AS frequency,
       json_extract(s.parameters, '$."rollout.users"') AS users,
       f.value AS realised_frequency,
       s.split, s.metric, s.value, s.lower, s.upper, s.n, s.parameters
FROM seeds_summary s
LEFT JOIN frequencies f ON f.grid = s.grid AND f.parameters = s.parameters
WHERE s.kind IN ('ranking', 'direct');
