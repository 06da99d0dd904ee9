-- Pictures of drift: both sets of a comparison on the first two principal components. Columns are only added.

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
