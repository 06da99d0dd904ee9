-- Detectors and their tests: the view `table2`, and the views of results brought up to cells that differ
-- in the detector alone and share the rollout and the ranking. SQLite cannot change a view, and earlier
-- migrations are never edited, so the views are dropped and written again.

DROP VIEW flags;
DROP VIEW drift;
DROP VIEW table1;
DROP VIEW seeds_summary;

-- The cells of the latest grids with what tells their results apart, one row a cell:
-- `params`: all parameters; `parameters`: all but the seed;
-- `shared_parameters`: of these the ones that the rollout and the ranking depend on, so without those of
--     the detector unless the attack evades it (`adaptive.lambda`) or flagged paths are rejected
--     (`defense` is `reject`);
-- `rollout`, `ranking`: keys of the cell's own stages, done or not; NULL where it has none.
CREATE VIEW cell_results AS
SELECT c.id AS cell_id, g.name AS grid, c.params,
       json_remove(c.params, '$.seed') AS parameters,
       CASE
           WHEN instr(c.params, '"detector.') = 0
               OR json_extract(c.params, '$."adaptive.lambda"') IS NOT NULL
               OR json_extract(c.params, '$.defense') = 'reject'
               THEN json_remove(c.params, '$.seed')
           -- A merge patch with NULL takes a member away and leaves the text of the others as it is.
           ELSE json_patch(c.params, (
               SELECT json_group_object(key, NULL) FROM json_each(c.params)
               WHERE key = 'seed' OR key GLOB 'detector.*'))
       END AS shared_parameters,
       i.input_key AS rollout, r.key AS ranking
FROM latest_grids g
JOIN cells c ON c.grid_id = g.id
LEFT JOIN (cell_stages cs JOIN stages r ON r.key = cs.stage_key AND r.kind = 'ranking')
    ON cs.cell_id = c.id
LEFT JOIN stage_inputs i ON i.stage_key = r.key AND i.role = 'rollout';

-- Every metric of a cell's results (stages rollout, ranking, drift, detector, detection, direct) over the
-- seeds. `parameters` is the JSON object of the parameters without the seed, which tell the rows apart:
-- those of `rollout` and `ranking` are without the detector's where they do not depend on it; those of
-- `direct` are only the ones that its recommendations depend on; those of `drift` have the other cell's
-- attack as `other`, and a pair of cells has a row for each of the two; those of `detector` are without
-- the attack that it is tested on; those of `detection` are all. `n` counts stages: two cells that share
-- one count once. `lower` and `upper` are the ends of the 95 % t interval over seeds, `test_lower` and
-- `test_upper` the means of the ends of the intervals that the stages stored.
CREATE VIEW seeds_summary AS
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
),
-- A number for each combination, for rows are grouped by it and not by a page of JSON; and one of its
-- stages, whose values are near the others'.
numbered AS MATERIALIZED (
    SELECT grid, kind, stage_key, parameters, combination,
           min(stage_key) OVER (PARTITION BY combination) AS near_key
    FROM (SELECT *, dense_rank() OVER (ORDER BY grid, kind, parameters) AS combination FROM results)
),
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

-- The paper's Table 1 and its controls: one row for every metric of every combination of parameters but
-- the seed. `lower` and `upper` are the ends of the 95 % t interval over seeds, NULL with one seed.
-- `adaptive_lambda` is the weight of the detector's score in the objective of an attack that evades it,
-- NULL for others; `defense` is `none`, `reject` (flagged paths leave the lists) or
-- `adversarial_training`.
CREATE VIEW table1 AS
WITH known AS MATERIALIZED (
    SELECT DISTINCT grid, shared_parameters AS parameters, rollout FROM cell_results
),
frequencies AS MATERIALIZED (
    SELECT k.grid, k.parameters, avg(m.value) AS value
    FROM known k
    JOIN stages s ON s.key = k.rollout AND s.state = 'done'
    JOIN metrics m ON m.stage_key = k.rollout AND m.name = 'realised_frequency' AND m.split = 'all'
    GROUP BY k.grid, k.parameters
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
       s.split, s.metric, s.value, s.lower, s.upper, s.n, s.parameters,
       json_extract(s.parameters, '$."adaptive.lambda"') AS adaptive_lambda,
       coalesce(json_extract(s.parameters, '$.defense'), 'none') AS defense
FROM seeds_summary s
LEFT JOIN frequencies f ON f.grid = s.grid AND f.parameters = s.parameters
WHERE s.kind IN ('ranking', 'direct');

-- The paper's Table 2 and what goes beyond it: a detector's tests, one row for every metric of every
-- combination of parameters but the seed.
-- Whose paths: `dataset`, `grid`, `users` (range), `agent`, `defense`.
-- The attack that is tested: `attack` (`none`: two halves of the clean paths), `epsilon`, `timing`,
--     `frequency` (asked), `threshold`, `realised_frequency` (mean over seeds of the rollout's),
--     `adaptive_lambda` (weight of the detector's score in the objective of an attack that evades it).
-- The detector: `method`, `trained_on` and `trained_epsilon` (the attack in its training), `input`,
--     `label` (`any_step`, `rollout`), `negatives` (`clean`, `clean_and_noise`), `data_split` (`by_path`,
--     `by_user`).
-- The number: `split` (always `all`; the curves and attention weights of other splits are in
--     `seeds_summary`, kind `detection`), `metric`, `value` (mean over seeds), `n` (seeds).
--     `test_lower` and `test_upper`: means over seeds of the ends of each test's 95 % bootstrap interval
--     over users. `lower` and `upper`: ends of the 95 % t interval over seeds; with one seed, that
--     seed's bootstrap interval.
-- `parameters`: all but the seed.
CREATE VIEW table2 AS
WITH known AS MATERIALIZED (SELECT grid, parameters, rollout FROM cell_results),
frequencies AS MATERIALIZED (
    SELECT k.grid, k.parameters, avg(m.value) AS value
    FROM known k
    JOIN stages s ON s.key = k.rollout AND s.state = 'done'
    JOIN metrics m ON m.stage_key = k.rollout AND m.name = 'realised_frequency' AND m.split = 'all'
    GROUP BY k.grid, k.parameters
)
SELECT s.grid,
       json_extract(s.parameters, '$.dataset') AS dataset,
       json_extract(s.parameters, '$."rollout.users"') AS users,
       CASE
           WHEN json_extract(s.parameters, '$."agent.imported"') IS NOT NULL
               THEN 'imported:' || json_extract(s.parameters, '$."agent.imported"')
           ELSE json_extract(s.parameters, '$."agent.algorithm"')
       END AS agent,
       coalesce(json_extract(s.parameters, '$.defense'), 'none') AS defense,
       coalesce(json_extract(s.parameters, '$.attack'), 'none') AS attack,
       json_extract(s.parameters, '$.epsilon') AS epsilon,
       json_extract(s.parameters, '$.timing') AS timing,
       json_extract(s.parameters, '$.frequency') AS frequency,
       json_extract(s.parameters, '$.threshold') AS threshold,
       f.value AS realised_frequency,
       json_extract(s.parameters, '$."adaptive.lambda"') AS adaptive_lambda,
       json_extract(s.parameters, '$."detector.method"') AS method,
       coalesce(json_extract(s.parameters, '$."detector.attack"'), 'fgsm_l1') AS trained_on,
       json_extract(s.parameters, '$."detector.epsilon"') AS trained_epsilon,
       json_extract(s.parameters, '$."detector.input"') AS input,
       json_extract(s.parameters, '$."detector.label"') AS label,
       json_extract(s.parameters, '$."detector.negatives"') AS negatives,
       json_extract(s.parameters, '$."detector.split"') AS data_split,
       s.split, s.metric, s.value,
       CASE WHEN s.n > 1 THEN s.lower ELSE s.test_lower END AS lower,
       CASE WHEN s.n > 1 THEN s.upper ELSE s.test_upper END AS upper,
       s.test_lower, s.test_upper, s.n, s.parameters
FROM seeds_summary s
LEFT JOIN frequencies f ON f.grid = s.grid AND f.parameters = s.parameters
WHERE s.kind = 'detection' AND s.split = 'all';

-- Drift between two cells of a grid that differ in the attack: a row for each metric of each pair,
-- from the side of either. `mmd_biased` is the paper's MMD; where a cell is compared with itself, the
-- two sets are halves of its paths. `n` counts seeds.
CREATE VIEW drift AS
SELECT grid,
       json_extract(parameters, '$.dataset') AS dataset,
       json_extract(parameters, '$.attack') AS attack,
       json_extract(parameters, '$.epsilon') AS epsilon,
       json_extract(parameters, '$.timing') AS timing,
       json_extract(parameters, '$.frequency') AS frequency,
       json_extract(parameters, '$.other.attack') AS other_attack,
       json_extract(parameters, '$.other.epsilon') AS other_epsilon,
       json_extract(parameters, '$.other.timing') AS other_timing,
       json_extract(parameters, '$.other.frequency') AS other_frequency,
       split, metric, value, lower, upper, n, parameters
FROM seeds_summary WHERE kind = 'drift';

-- Results that are not to be taken at face value, one row a result and reason (SPEC section 6):
-- `randomised_victim`: the agent draws dropout at evaluation;
-- `zero_gradients`: at more than 1 % of the attacked time steps a gradient was zero;
-- `off_budget`: a perturbation is longer than the attack's budget, by more than rounding explains;
-- `users_changed`: the number of users without a full list differs from the clean agent's by more than
--     1 % of the users, so that `valid` metrics are over other users;
-- `weaker_than_noise`: NDCG over all users is not below that of noise of an equal mean norm.
-- `reference` is what `value` is held against: the clean agent's or the noise's, under the same defense.
-- Cells that share rollout and ranking, because they differ in the detector alone, are one result;
-- `cell_id` is the first of them.
CREATE VIEW flags AS
WITH results AS MATERIALIZED (
    SELECT min(cell_id) AS cell, grid, params, shared_parameters AS parameters, rollout, ranking
    FROM cell_results GROUP BY grid, rollout, ranking, shared_parameters
),
stages_of AS MATERIALIZED (
    SELECT k.cell, k.grid, k.params, k.parameters, r.key AS rollout, n.key AS ranking
    FROM results k
    LEFT JOIN stages r ON r.key = k.rollout AND r.state = 'done'
    LEFT JOIN stages n ON n.key = k.ranking AND n.state = 'done'
    WHERE r.key IS NOT NULL OR n.key IS NOT NULL
),
figures AS MATERIALIZED (
    SELECT stage_key,
           max(CASE name WHEN 'randomised_victim' THEN value END) AS randomised,
           max(CASE name WHEN 'zero_gradient_share' THEN value END) AS zero_gradients,
           max(CASE name WHEN 'budget_used_max' THEN value END) AS budget_used,
           max(CASE name WHEN 'l1_mean' THEN value END) AS l1,
           max(CASE name WHEN 'l2_mean' THEN value END) AS l2,
           max(CASE name WHEN 'linf_mean' THEN value END) AS linf,
           max(CASE name WHEN 'users_left_out' THEN value END) AS left_out
    FROM metrics WHERE split = 'all' GROUP BY stage_key
),
known AS MATERIALIZED (
    SELECT s.cell, s.grid, s.params, s.parameters, json_extract(s.params, '$.attack') AS attack,
           -- What a cell shares with the clean one that it is held against; the detector's parameters
           -- where it decides which paths count.
           (SELECT json_group_array(key || '=' || value) FROM (
                SELECT key, value FROM json_each(s.params)
                WHERE key IN ('dataset', 'seed')
                   OR (instr(key, '.') > 0 AND key NOT GLOB 'transfer.*'
                       AND key NOT GLOB 'adaptive.*'
                       AND (key NOT GLOB 'detector.*'
                            OR json_extract(s.params, '$.defense') = 'reject'))
                ORDER BY key)) || coalesce(json_extract(s.params, '$.defense'), 'none') AS context,
           json_array(json_extract(s.params, '$.timing'), json_extract(s.params, '$.frequency'),
                      json_extract(s.params, '$.threshold')) AS timing,
           r.randomised, r.zero_gradients, r.budget_used, r.l1, r.l2, r.linf,
           k.left_out, m.n AS users, m.value AS ndcg
    FROM stages_of s
    LEFT JOIN figures r ON r.stage_key = s.rollout
    LEFT JOIN figures k ON k.stage_key = s.ranking
    LEFT JOIN metrics m ON m.stage_key = s.ranking AND m.name = 'ndcg' AND m.split = 'all_users'
),
found AS (
    SELECT cell, grid, params, parameters, 'randomised_victim' AS flag, randomised AS value,
           0.0 AS reference
    FROM known WHERE randomised > 0
    UNION ALL
    SELECT cell, grid, params, parameters, 'zero_gradients', zero_gradients, 0.01
    FROM known WHERE zero_gradients > 0.01
    UNION ALL
    SELECT cell, grid, params, parameters, 'off_budget', budget_used, 1.0
    FROM known WHERE budget_used > 1.0001
    UNION ALL
    SELECT k.cell, k.grid, k.params, k.parameters, 'users_changed', k.left_out, clean.left_out
    FROM known k
    JOIN known clean ON clean.grid = k.grid AND clean.context = k.context AND clean.attack = 'none'
    WHERE k.attack <> 'none' AND abs(k.left_out - clean.left_out) > 0.01 * k.users
    UNION ALL
    SELECT k.cell, k.grid, k.params, k.parameters, 'weaker_than_noise', k.ndcg, min(noise.ndcg)
    FROM known k
    JOIN known noise ON noise.grid = k.grid AND noise.context = k.context
        AND noise.timing = k.timing AND noise.attack GLOB 'noise_*'
        AND (abs(noise.l1 - k.l1) <= 0.001 * k.l1 OR abs(noise.l2 - k.l2) <= 0.001 * k.l2
             OR abs(noise.linf - k.linf) <= 0.001 * k.linf)
    WHERE k.attack NOT GLOB 'noise_*' AND k.attack <> 'none'
    GROUP BY k.cell HAVING k.ndcg >= min(noise.ndcg)
)
SELECT grid, cell AS cell_id, json_extract(params, '$.dataset') AS dataset,
       json_extract(params, '$.attack') AS attack, json_extract(params, '$.epsilon') AS epsilon,
       json_extract(params, '$.seed') AS seed, flag, value, reference, parameters
FROM found;
