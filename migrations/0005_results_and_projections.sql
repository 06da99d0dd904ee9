-- The stages behind every row of `seeds_summary` get a view of their own: which seeds' numbers a mean is of can
-- then be asked, and a report finds them once instead of once a table. Views that read `seeds_summary` read
-- the new one, whose rows are as they were.

DROP VIEW seeds_summary;

-- The stages whose metrics a row of `seeds_summary` is the mean of, one row a stage: `grid`, `kind` and
-- `parameters` as there (`parameters` without the seed). `combination` numbers the rows of `grid`, `kind` and
-- `parameters`, within one query; `near_key` is one of the combination's stages.
CREATE VIEW result_stages AS
WITH known AS MATERIALIZED (
    SELECT cell_id, grid, params, parameters, shared_parameters, rollout FROM cell_results
),
-- The cells' rollouts as the two sides of comparisons; cells that share one are one.
sides AS MATERIALIZED (
    SELECT DISTINCT k.grid, d.key AS stage_key, i.role, k.shared_parameters
    FROM known k
    JOIN cell_stages cs ON cs.cell_id = k.cell_id
    JOIN stages d ON d.key = cs.stage_key AND d.kind = 'drift' AND d.state = 'done'
    JOIN stage_inputs i ON i.stage_key = d.key AND i.role IN ('rollout', 'other')
        AND i.input_key = k.rollout
),
-- `direct` and `detector` depend on none of the parameters in which the cells that share them differ:
-- the first cell tells all of theirs.
results AS (
    SELECT k.grid, s.kind, s.key AS stage_key,
           CASE s.kind WHEN 'detection' THEN k.parameters ELSE k.shared_parameters END AS parameters
    FROM known k
    JOIN cell_stages cs ON cs.cell_id = k.cell_id
    JOIN stages s ON s.key = cs.stage_key
    WHERE s.state = 'done' AND (s.kind IN ('ranking', 'detection') OR s.key = k.rollout)
    UNION
    SELECT f.grid, f.kind, f.stage_key,
           json_patch(k.params, (
               SELECT json_group_object(key, NULL) FROM json_each(k.params)
               WHERE CASE f.kind
                   WHEN 'direct' THEN key NOT IN ('dataset', 'agent.imported', 'rollout.users')
                       AND key NOT GLOB 'graph.*' AND key NOT GLOB 'embedding.*'
                   ELSE (instr(key, '.') = 0 AND key <> 'dataset') OR key = 'rollout.direct'
                       OR key GLOB 'transfer.*' OR key GLOB 'drift.*' OR key GLOB 'adaptive.*'
               END))
    FROM (
        SELECT k.grid, s.kind, s.key AS stage_key, min(k.cell_id) AS cell_id
        FROM known k
        JOIN cell_stages cs ON cs.cell_id = k.cell_id
        JOIN stages s ON s.key = cs.stage_key
        WHERE s.state = 'done' AND s.kind IN ('direct', 'detector')
        GROUP BY k.grid, s.kind, s.key
    ) f
    JOIN known k ON k.cell_id = f.cell_id
    UNION
    SELECT one.grid, 'drift', one.stage_key,
           json_set(one.shared_parameters, '$.other', json_patch(other.shared_parameters, (
               SELECT json_group_object(key, NULL) FROM json_each(other.shared_parameters)
               WHERE key IN ('dataset', 'defense')
                  OR (instr(key, '.') > 0 AND key <> 'rollout.users' AND key NOT GLOB 'transfer.*'
                      AND key NOT GLOB 'adaptive.*' AND key NOT GLOB 'detector.*'))))
    FROM sides one
    JOIN sides other ON other.grid = one.grid AND other.stage_key = one.stage_key
        AND other.role <> one.role
)
-- Rows are grouped by a number and not by a page of JSON; the values of `near_key` are near the others'.
SELECT grid, kind, stage_key, parameters, combination,
       min(stage_key) OVER (PARTITION BY combination) AS near_key
FROM (SELECT *, dense_rank() OVER (ORDER BY grid, kind, parameters) AS combination FROM results);

-- Every metric of a cell's results (stages rollout, ranking, drift, detector, detection, direct) over the
-- seeds. `parameters` is the JSON object of the parameters without the seed, which tell the rows apart:
-- those of `rollout` and `ranking` are without the detector's where they do not depend on it; those of
-- `direct` are only the ones that its recommendations depend on; those of `drift` have the other cell's
-- attack as `other`, and a pair of cells has a row for each of the two; those of `detector` are without
-- the attack that it is tested on; those of `detection` are all. `n` counts stages: two cells that share
-- one count once. `lower` and `upper` are the ends of the 95 % t interval over seeds, `test_lower` and
-- `test_upper` the means of the ends of the intervals that the stages stored.
CREATE VIEW seeds_summary AS
WITH numbered AS MATERIALIZED (SELECT * FROM result_stages),
combinations AS MATERIALIZED (
    SELECT combination, min(parameters) AS parameters FROM numbered GROUP BY combination
),
-- Sums of differences from a value nearby, so that nearly equal values keep their digits.
sums AS (
    SELECT r.grid, r.kind, r.combination, m.split, m.name AS metric, avg(m.value) AS value,
           min(m.value) AS minimum, max(m.value) AS maximum, count(*) AS n,
           avg(m.lower) AS test_lower, avg(m.upper) AS test_upper,
           sum(m.value - coalesce(near.value, 0)) AS differences,
           sum((m.value - coalesce(near.value, 0)) * (m.value - coalesce(near.value, 0))) AS squares
    FROM numbered r
    JOIN metrics m ON m.stage_key = r.stage_key
    LEFT JOIN metrics near ON near.stage_key = r.near_key AND near.name = m.name
        AND near.split = m.split
    GROUP BY r.grid, r.kind, r.combination, m.split, m.name
),
variances AS (
    SELECT *,
           CASE WHEN n > 1
               THEN max(0.0, (squares - differences * differences / n) / (n - 1))
           END AS variance
    FROM sums
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
SELECT w.grid, w.kind, c.parameters, w.split, w.metric, w.value, w.deviation,
       w.value - w.half_width AS lower, w.value + w.half_width AS upper, w.minimum, w.maximum, w.n,
       w.test_lower, w.test_upper
FROM widths w JOIN combinations c ON c.combination = w.combination;

-- Pictures of drift: both sets of a comparison on the first two principal components.

-- One row a done stage of the kind `drift`: the action sequences of its inputs `rollout` and `other` on the
-- first two principal components of both together.
CREATE TABLE projections (
    stage_key         TEXT PRIMARY KEY REFERENCES stages (key) ON DELETE CASCADE,
    share_1           REAL NOT NULL CHECK (share_1 BETWEEN 0 AND 1), -- of the variance, along the first component
    share_2           REAL NOT NULL CHECK (share_2 BETWEEN 0 AND 1), -- along the second
    rollout_sequences INTEGER NOT NULL, -- how many of `rollout` the components were computed from
    other_sequences   INTEGER NOT NULL, -- how many of `other`
    rollout_points    TEXT NOT NULL CHECK (json_valid(rollout_points)), -- array of [x, y]: at most 200 of the sequences
    other_points      TEXT NOT NULL CHECK (json_valid(other_points))
);

-- The points of `projections`, one row a point, for every cell of the latest grids whose action sequences
-- they are. `side` is the input of the stage that is the cell's rollout; a cell that is compared with itself
-- has both. `x` and `y` are places on the two components, which are the same for both sides of a stage and
-- others for every stage; `share_1` and `share_2` are the components' shares of the variance.
CREATE VIEW projected_sequences AS
SELECT k.grid, json_extract(k.params, '$.dataset') AS dataset,
       coalesce(json_extract(k.params, '$.attack'), 'none') AS attack,
       json_extract(k.params, '$.epsilon') AS epsilon, json_extract(k.params, '$.seed') AS seed,
       k.cell_id, p.stage_key, i.role AS side, point.key AS point,
       json_extract(point.value, '$[0]') AS x, json_extract(point.value, '$[1]') AS y,
       p.share_1, p.share_2, k.shared_parameters
FROM projections p
JOIN stages s ON s.key = p.stage_key AND s.state = 'done'
JOIN cell_stages cs ON cs.stage_key = p.stage_key
JOIN cell_results k ON k.cell_id = cs.cell_id
JOIN stage_inputs i ON i.stage_key = p.stage_key AND i.input_key = k.rollout
    AND i.role IN ('rollout', 'other')
JOIN json_each(CASE i.role WHEN 'rollout' THEN p.rollout_points ELSE p.other_points END) point;
