-- Drift between the cells of a grid, and flags of numbers that are not to be taken at face value.
-- `seeds_summary` learns of drift. SQLite cannot change a view, and earlier migrations are never edited,
-- so it and `table1`, which reads it, are dropped and written again; `table1` is as it was.

DROP VIEW table1;
DROP VIEW seeds_summary;

-- Every metric of a cell's results (stages rollout, ranking, drift, direct) over the seeds.
-- `parameters` is the JSON object of the parameters without the seed, which tell the rows apart; those
-- of `direct` are only the ones that its recommendations depend on; those of `drift` have the other
-- cell's attack as `other`, and a pair of cells has a row for each of the two. `n` counts stages: two
-- cells that share one count once.
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
    UNION
    SELECT g.name AS grid, d.kind, d.key AS stage_key,
           json_set(json_remove(a.params, '$.seed'), '$.other', json((
               SELECT json_group_object(key, value) FROM (
                   SELECT key, value FROM json_each(b.params)
                   WHERE (instr(key, '.') = 0 AND key NOT IN ('dataset', 'seed'))
                      OR key GLOB 'transfer.*' OR key = 'rollout.users'
                   ORDER BY key)))) AS parameters
    FROM latest_grids g
    JOIN cells a ON a.grid_id = g.id
    JOIN cell_stages da ON da.cell_id = a.id
    JOIN stages d ON d.key = da.stage_key AND d.kind = 'drift' AND d.state = 'done'
    JOIN stage_inputs own ON own.stage_key = d.key AND own.role IN ('rollout', 'other')
    JOIN cell_stages ra ON ra.cell_id = a.id AND ra.stage_key = own.input_key
    JOIN stage_inputs peer ON peer.stage_key = d.key AND peer.role IN ('rollout', 'other')
        AND peer.role <> own.role
    JOIN cell_stages rb ON rb.stage_key = peer.input_key
    JOIN cells b ON b.id = rb.cell_id AND b.grid_id = g.id
    JOIN cell_stages db ON db.cell_id = b.id AND db.stage_key = d.key
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

-- Results that are not to be taken at face value, one row a cell and reason (SPEC section 6):
-- `randomised_victim`: the agent draws dropout at evaluation;
-- `zero_gradients`: at more than 1 % of the attacked time steps a gradient was zero;
-- `off_budget`: a perturbation is longer than the attack's budget, by more than rounding explains;
-- `users_changed`: the number of users without a full list differs from the clean agent's by more than
--     1 % of the users, so that `valid` metrics are over other users;
-- `weaker_than_noise`: NDCG over all users is not below that of noise of an equal mean norm.
-- `reference` is what `value` is held against.
CREATE VIEW flags AS
WITH stages_of AS MATERIALIZED (
    SELECT c.id AS cell, g.name AS grid, c.params,
           max(CASE s.kind WHEN 'rollout' THEN s.key END) AS rollout,
           max(CASE s.kind WHEN 'ranking' THEN s.key END) AS ranking
    FROM latest_grids g
    JOIN cells c ON c.grid_id = g.id
    JOIN cell_stages cs ON cs.cell_id = c.id
    JOIN stages s ON s.key = cs.stage_key AND s.state = 'done' AND s.kind IN ('rollout', 'ranking')
    GROUP BY c.id
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
    SELECT s.cell, s.grid, s.params, json_extract(s.params, '$.attack') AS attack,
           -- What a cell shares with the clean one that it is held against.
           (SELECT json_group_array(key || '=' || value) FROM (
                SELECT key, value FROM json_each(s.params)
                WHERE key IN ('dataset', 'seed')
                   OR (instr(key, '.') > 0 AND key NOT GLOB 'transfer.*')
                ORDER BY key)) AS context,
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
    SELECT cell, grid, params, 'randomised_victim' AS flag, randomised AS value, 0.0 AS reference
    FROM known WHERE randomised > 0
    UNION ALL
    SELECT cell, grid, params, 'zero_gradients', zero_gradients, 0.01
    FROM known WHERE zero_gradients > 0.01
    UNION ALL
    SELECT cell, grid, params, 'off_budget', budget_used, 1.0 FROM known WHERE budget_used > 1.0001
    UNION ALL
    SELECT k.cell, k.grid, k.params, 'users_changed', k.left_out, clean.left_out
    FROM known k
    JOIN known clean ON clean.grid = k.grid AND clean.context = k.context AND clean.attack = 'none'
    WHERE k.attack <> 'none' AND abs(k.left_out - clean.left_out) > 0.01 * k.users
    UNION ALL
    SELECT k.cell, k.grid, k.params, 'weaker_than_noise', k.ndcg, min(noise.ndcg)
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
       json_extract(params, '$.seed') AS seed, flag, value, reference,
       json_remove(params, '$.seed') AS parameters
FROM found;
