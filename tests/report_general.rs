//! `advrec report --rows … --cols …`: tables of any grid, by its own axes.

mod lab;
mod reported;
mod swept;

use lab::Lab;
use reported::{GRID, refused, sweep, told};

#[test]
fn rows_and_columns_go_by_the_axes_of_the_grid() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let report = |args: &[&str]| told(&lab, &[&["report"], args].concat());
    insta::assert_snapshot!(report(&["--rows", "attack,epsilon"]), @r"
    Results by attack, epsilon and metric
      attack, epsilon           ndcg         recall              hr      precision
      none
        –              5.000 ± 0.196  7.000 ± 0.275  15.000 ± 0.589  2.000 ± 0.079
      fgsm_linf
        0.1            4.600 ± 0.275  6.440 ± 0.385  13.800 ± 0.825  1.840 ± 0.110
        0.5            3.000 ± 0.589  4.200 ± 0.825   9.000 ± 1.767  1.200 ± 0.236
      jsma
        –              3.500 ± 0.491  4.900 ± 0.687  10.500 ± 1.472  1.400 ± 0.196

    - ndcg, recall, hr, precision: split `valid` of the stages `ranking`.
    - Means over seeds ± half of their 95 % Student t interval; 6 seeds.
    ");
    insta::assert_snapshot!(
        report(&["--rows", "seed", "--cols", "attack,split", "--where", "attack=none|jsma,seed=1|2"]), @r"
    Results by seed and attack, split
      seed  none, all_users  none, valid  jsma, all_users  jsma, valid
      1               4.320        4.800            2.700        3.000
      2               4.545        5.050            3.263        3.625

    - ndcg: split `all_users` of the stages `ranking`.
    - ndcg: split `valid` of the stages `ranking`.
    - Means over seeds ± half of their 95 % Student t interval; one seed, which has no interval.
    - Cells with attack=none|jsma,seed=1|2.
    ");
    insta::assert_snapshot!(
        report(&["--rows", "attack", "--metric", "hr", "--where", "attack=none|jsma", "--interval",
                 "bootstrap", "--format", "markdown"]), @r"
    # Results by attack and metric

    | attack |                      hr |
    | ------ | ----------------------: |
    | none   | 15.000 [14.625, 15.426] |
    | jsma   |  10.500 [9.562, 11.562] |

    ### interquartile means over seeds, where there are at least five

    | attack |                      hr |
    | ------ | ----------------------: |
    | none   | 14.925 [14.512, 15.525] |
    | jsma   |  10.312 [9.375, 11.812] |

    - hr: split `valid` of the stages `ranking`.
    - Means over seeds with their 95 % bootstrap interval, which draws seeds, in brackets; 6 seeds.
    - Cells with attack=none|jsma.
    ");
    let csv = report(&[
        "--rows",
        "attack",
        "--cols",
        "epsilon",
        "--where",
        "attack=fgsm_linf",
        "--format",
        "csv",
    ]);
    insta::assert_snapshot!(csv, @r"
    table,group,row,notes,column,value,lower,upper,seeds,text
    Results by attack and epsilon,,fgsm_linf,,0.1,4.6,4.325135979447877,4.874864020552122,6,
    Results by attack and epsilon,,fgsm_linf,,0.5,3,2.4110056702454514,3.5889943297545486,6,
    ");
}

#[test]
fn formats_of_a_general_table() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let report = |format: &str| {
        told(
            &lab,
            &[
                "report",
                "--rows",
                "attack,epsilon",
                "--cols",
                "split,metric",
                "--metric",
                "ndcg,hr",
                "--split",
                "valid,all_users",
                "--where",
                "seed=1|2|3",
                "--format",
                format,
            ],
        )
    };
    insta::assert_snapshot!(report("latex"), @r"
    % Needs in the preamble:
    %   \usepackage{booktabs}
    %   \usepackage{siunitx}
    %   \sisetup{separate-uncertainty = true, detect-all}
    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Results by attack, epsilon and split, metric}
    \begin{tabular}{lrrrr}
    \toprule
     & \multicolumn{2}{c}{valid} & \multicolumn{2}{c}{all\_users} \\
    \cmidrule(lr){2-3}\cmidrule(lr){4-5}
    attack, epsilon & ndcg & hr & ndcg & hr \\
    \midrule
    \multicolumn{5}{l}{\emph{none}} \\
    {}-- & \num{5.050 +- 0.621} & \num{15.150 +- 1.863} & \num{4.545 +- 0.559} & \num{13.635 +- 1.677} \\
    \addlinespace
    \multicolumn{5}{l}{\emph{fgsm\_linf}} \\
    {}0.1 & \num{4.670 +- 0.869} & \num{14.010 +- 2.608} & \num{4.203 +- 0.783} & \num{12.609 +- 2.348} \\
    {}0.5 & \num{3.150 +- 1.863} & \num{9.450 +- 5.589} & \num{2.835 +- 1.677} & \num{8.505 +- 5.030} \\
    \addlinespace
    \multicolumn{5}{l}{\emph{jsma}} \\
    {}-- & \num{3.625 +- 1.553} & \num{10.875 +- 4.658} & \num{3.263 +- 1.397} & \num{9.787 +- 4.192} \\
    \bottomrule
    \end{tabular}
    \end{table}

    % \begin{itemize}
    % \item {}ndcg, hr: split \texttt{valid} of the stages \texttt{ranking}.
    % \item {}ndcg, hr: split \texttt{all\_users} of the stages \texttt{ranking}.
    % \item {}Means over seeds $\pm$ half of their 95 \% Student t interval; 3 seeds.
    % \item {}Cells with seed=1|2|3.
    % \end{itemize}
    %
    ");
    insta::assert_snapshot!(report("html"), @r#"
    <section>
    <h1>Results by attack, epsilon and split, metric</h1>
    <div class="table" tabindex="0">
    <table>
    <caption>Results by attack, epsilon and split, metric</caption>
    <thead>
    <tr><th scope="col" rowspan="2">attack, epsilon</th><th scope="colgroup" colspan="2">valid</th><th scope="colgroup" colspan="2">all_users</th></tr>
    <tr><th scope="col">ndcg</th><th scope="col">hr</th><th scope="col">ndcg</th><th scope="col">hr</th></tr>
    </thead>
    <tbody>
    <tr><th scope="rowgroup" colspan="5">none</th></tr>
    <tr><th scope="row">–</th><td data-value="5.05" data-lower="4.428965533055112" data-upper="5.671034466944888">5.050 ± 0.621</td><td data-value="15.149999999999999" data-lower="13.286896599165335" data-upper="17.013103400834662">15.150 ± 1.863</td><td data-value="4.545" data-lower="3.986068979749602" data-upper="5.103931020250398">4.545 ± 0.559</td><td data-value="13.635" data-lower="11.958206939248804" data-upper="15.311793060751196">13.635 ± 1.677</td></tr>
    </tbody>
    <tbody>
    <tr><th scope="rowgroup" colspan="5">fgsm_linf</th></tr>
    <tr><th scope="row">0.1</th><td data-value="4.669999999999999" data-lower="3.800551746277156" data-upper="5.539448253722842">4.670 ± 0.869</td><td data-value="14.01" data-lower="11.40165523883147" data-upper="16.61834476116853">14.010 ± 2.608</td><td data-value="4.202999999999999" data-lower="3.42049657164944" data-upper="4.985503428350558">4.203 ± 0.783</td><td data-value="12.609" data-lower="10.261489714948324" data-upper="14.956510285051676">12.609 ± 2.348</td></tr>
    <tr><th scope="row">0.5</th><td data-value="3.15" data-lower="1.2868965991653365" data-upper="5.013103400834663">3.150 ± 1.863</td><td data-value="9.45" data-lower="3.8606897974960095" data-upper="15.039310202503989">9.450 ± 5.589</td><td data-value="2.8349999999999995" data-lower="1.158206939248803" data-upper="4.511793060751196">2.835 ± 1.677</td><td data-value="8.505" data-lower="3.47462081774641" data-upper="13.535379182253592">8.505 ± 5.030</td></tr>
    </tbody>
    <tbody>
    <tr><th scope="rowgroup" colspan="5">jsma</th></tr>
    <tr><th scope="row">–</th><td data-value="3.625" data-lower="2.0724138326377806" data-upper="5.17758616736222">3.625 ± 1.553</td><td data-value="10.875" data-lower="6.217241497913342" data-upper="15.532758502086658">10.875 ± 4.658</td><td data-value="3.2625000000000006" data-lower="1.8651724493740032" data-upper="4.659827550625998">3.263 ± 1.397</td><td data-value="9.7875" data-lower="5.595517348122007" data-upper="13.979482651877992">9.787 ± 4.192</td></tr>
    </tbody>
    </table>
    </div>
    <ul>
    <li>ndcg, hr: split <code>valid</code> of the stages <code>ranking</code>.</li>
    <li>ndcg, hr: split <code>all_users</code> of the stages <code>ranking</code>.</li>
    <li>Means over seeds ± half of their 95 % Student t interval; 3 seeds.</li>
    <li>Cells with seed=1|2|3.</li>
    </ul>
    </section>
    "#);
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let report = |args: &[&str]| refused(&lab, &[&["report"], args].concat());
    insta::assert_snapshot!(report(&["--rows", "atack"]), @"error: `atack` is no axis (did you mean `attack`?); axes are parameters (`advrec plan --parameters` lists all), `metric`, `split` and `grid`");
    insta::assert_snapshot!(report(&["--rows", "attack", "--cols", "attack"]), @"error: `attack` is an axis twice; remove one of the two");
    insta::assert_snapshot!(report(&["--rows", "attack,epsilon", "--metric", "ndgc"]), @"error: no result has the metric `ndgc` (did you mean `ndcg`?); there are hr, ndcg, precision, recall, users_left_out");
    insta::assert_snapshot!(report(&["--rows", "attack,epsilon", "--split", "vaild"]), @"error: no result has `ndcg` in the split `vaild` (did you mean `valid`?); there are all_users, valid");
    insta::assert_snapshot!(report(&["--rows", "attack,epsilon", "--where", "attack=deepfool"]), @"error: no cell has attack=deepfool; there are none, fgsm_linf, jsma");
    insta::assert_snapshot!(report(&["--rows", "attack,epsilon", "--where", "atack=jsma"]), @"error: unknown parameter `atack`; did you mean `attack`?");
    insta::assert_snapshot!(report(&["--rows", "attack", "--grid", "smal"]), @"error: the database has no grid `smal`; it has `small`");
    insta::assert_snapshot!(
        report(&["--rows", "attack,epsilon", "--cols", "split", "--metric", "ndcg,hr"]), @"error: several metrics (ndcg, hr) without an axis; add `metric` to --rows or --cols, or name one with --metric");
    assert_eq!(lab.run(&["report", "--where", "attack=jsma"]).status.code(), Some(2));
}

#[test]
fn results_that_the_axes_do_not_tell_apart_are_not_mixed() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    insta::assert_snapshot!(refused(&lab, &["report", "--rows", "attack"]), @"error: attack=fgsm_linf metric=ndcg has 12 results that the axes do not tell apart: they differ in `epsilon`; add it to --rows or --cols, or choose with --where");
    insta::assert_snapshot!(refused(&lab, &["report", "--rows", "epsilon"]), @"error: epsilon=– metric=ndcg has 12 results that the axes do not tell apart: they differ in `attack`; add it to --rows or --cols, or choose with --where");
    // Told apart by a filter instead of an axis.
    told(&lab, &["report", "--rows", "attack", "--where", "attack=none|jsma"]);
}

#[test]
fn the_format_goes_by_the_files_name() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let begins = |name: &str, start: &str| {
        told(&lab, &["report", "--rows", "attack,epsilon", "--out", name]);
        let text = std::fs::read_to_string(lab.path(name)).unwrap();
        assert!(text.starts_with(start), "{name}: {text}");
    };
    begins("t.md", "# Results");
    begins("t.txt", "Results");
    begins("t.csv", "table,group,row");
    begins("t.tex", "% Needs");
    begins("t.HTML", "<section>");
    insta::assert_snapshot!(refused(&lab, &["report", "--rows", "attack,epsilon", "--out", "t.doc"]), @"error: t.doc has none of the extensions .md, .csv, .tex, .html and .txt; name the format with --format terminal|markdown|csv|latex|html");
    assert!(!lab.path("t.doc").exists());
    // A format for other programs is not mixed with words about figures.
    let csv = ["report", "--rows", "attack,epsilon", "--format", "csv"];
    let with_figures = told(&lab, &[&csv[..], &["--figures", "figures"]].concat());
    assert_eq!(with_figures, told(&lab, &csv));
    // What is no plain file is written to.
    let through = told(
        &lab,
        &["report", "--rows", "attack,epsilon", "--format", "csv", "--out", "/dev/stdout"],
    );
    assert!(through.starts_with(&with_figures), "{through}");
    assert!(std::fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
}

#[test]
fn a_grid_without_results_is_no_table() {
    let lab = Lab::new();
    swept::sweep(&lab.path(""), GRID, |_| (Vec::new(), serde_json::Map::new()));
    insta::assert_snapshot!(refused(&lab, &["report", "--rows", "attack,epsilon"]), @"error: there is no result yet; `advrec status` shows how far the cells are");
}
