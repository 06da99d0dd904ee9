-- Who ran what: a row for every sweep, and more of every attempt. Columns are only added.

-- One row a sweep: `advrec sweep` or `advrec rerun`, from its start to its end. The one without `ended` is
-- running, or was killed: `heard` is renewed every few seconds while it lives.
CREATE TABLE sweeps (
    id         INTEGER PRIMARY KEY,
    grid_id    INTEGER REFERENCES grids (id) ON DELETE SET NULL, -- NULL where no grid asked for the stages
    process    INTEGER NOT NULL,
    host       TEXT NOT NULL,
    job        TEXT,                    -- the cluster's number of the job that the orchestrator itself ran as
    launcher   TEXT NOT NULL,           -- local, slurm
    slots      INTEGER NOT NULL,        -- how many stages can run at a time
    arguments  TEXT NOT NULL CHECK (json_valid(arguments)), -- array: the command line after the program's name
    version    TEXT NOT NULL,
    git_commit TEXT NOT NULL,
    git_dirty  INTEGER NOT NULL,
    started    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    heard      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    ended      TEXT,
    ending     TEXT CHECK (ending IN ('finished', 'failed_fast', 'interrupted', 'disk_full', 'error', 'killed')),
    -- Counts of stages, renewed with `heard`.
    total      INTEGER NOT NULL DEFAULT 0,
    reused     INTEGER NOT NULL DEFAULT 0, -- were in the store, whole
    damaged    INTEGER NOT NULL DEFAULT 0, -- were in the store, damaged
    run        INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    blocked    INTEGER NOT NULL DEFAULT 0,
    lost       INTEGER NOT NULL DEFAULT 0, -- attempts that lost their worker
    left_s     REAL                        -- predicted seconds to the end, where it can be predicted
);

ALTER TABLE attempts ADD COLUMN sweep_id INTEGER REFERENCES sweeps (id) ON DELETE SET NULL;
ALTER TABLE attempts ADD COLUMN slot INTEGER;           -- of the sweep, from 0
ALTER TABLE attempts ADD COLUMN job TEXT;               -- the cluster's number of the worker's job
ALTER TABLE attempts ADD COLUMN progress_done INTEGER;  -- renewed every few seconds while it runs
ALTER TABLE attempts ADD COLUMN progress_total INTEGER; -- 0 where it is not known
ALTER TABLE attempts ADD COLUMN progress_note TEXT;
ALTER TABLE attempts ADD COLUMN log_tail TEXT;          -- last lines of the log of one that did not succeed

ALTER TABLE stages ADD COLUMN bytes INTEGER;            -- of its artefact; NULL where it was never made

DROP VIEW failures;
DROP VIEW runs;

-- One row an attempt.
CREATE VIEW runs AS
SELECT a.id AS attempt, s.kind, s.key AS stage_key, a.state, a.worker, a.started, a.ended,
       a.wall_s, a.cpu_s, a.peak_mib, a.exit_status, a.signal, a.error, a.log_path,
       s.state AS stage_state, a.provenance, a.sweep_id, a.slot, a.job, a.progress_done,
       a.progress_total, a.progress_note, a.log_tail, s.version AS stage_version, s.params AS stage_params,
       (SELECT json_group_object(role, input_key) FROM stage_inputs i WHERE i.stage_key = s.key)
           AS stage_inputs
FROM attempts a JOIN stages s ON s.key = a.stage_key;

-- One row an attempt that failed or lost its worker; `stage_state` tells whether a later one did it.
CREATE VIEW failures AS
SELECT attempt, kind, stage_key, state, stage_state, ended, exit_status, signal, error, log_path,
       worker, job, log_tail, stage_params
FROM runs WHERE state IN ('failed', 'lost');
