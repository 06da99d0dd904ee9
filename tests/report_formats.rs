//! `advrec report --format …`: Tables 1 and 2 for spreadsheets, for LaTeX and for web pages.

mod lab;
mod reported;
mod swept;

use lab::Lab;
use reported::{sweep, told};
use std::process::Command;

const GRID: &str = "\
name: formats
dataset: embedded
seeds: 5
detector: {method: gru_attention}
axes:
  attack: [none, {id: fgsm_l1, epsilon: 0.1}]
";

/// A database whose cells say that they are of the paper's dataset.
fn papers() -> Lab {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    let renamed = "UPDATE cells SET params = json_set(params, '$.dataset', 'Amazon_Beauty')";
    assert_eq!(db.execute(renamed, []).unwrap(), 10);
    lab
}

fn report(args: &[&str]) -> String {
    told(&papers(), &[&["report"], args].concat())
}

#[test]
fn csv_has_a_line_for_every_number() {
    let csv = report(&["--format", "csv"]);
    assert!(csv.lines().all(|line| !line.is_empty()));
    let of_attack: Vec<&str> = csv.lines().filter(|line| line.contains("fgsm_l1 ε=0.1")).collect();
    insta::assert_snapshot!(csv.lines().next().unwrap(), @"table,group,row,notes,column,value,lower,upper,seeds,text");
    insta::assert_snapshot!(of_attack.join("\n").replace("Amazon_Beauty (grid `formats`, all users", "…"), @r#"
    "…)",,"fgsm_l1 ε=0.1, value",,seeds,,,,,5
    "…)",,"fgsm_l1 ε=0.1, value",,NDCG ours,2.634,1.806854675925293,3.4611453240747068,5,
    "…)",,"fgsm_l1 ε=0.1, value",,NDCG paper,2.695,,,,
    "…)",,"fgsm_l1 ε=0.1, value",,Recall ours,3.6875999999999998,2.5295965462954104,4.845603453704589,5,
    "…)",,"fgsm_l1 ε=0.1, value",,Recall paper,3.714,,,,
    "…)",,"fgsm_l1 ε=0.1, value",,HR ours,7.902000000000001,5.420564027775881,10.38343597222412,5,
    "…)",,"fgsm_l1 ε=0.1, value",,HR paper,6.599,,,,
    "…)",,"fgsm_l1 ε=0.1, value",,Precision ours,1.0536,0.7227418703701174,1.3844581296298828,5,
    "…)",,"fgsm_l1 ε=0.1, value",,Precision paper,0.693,,,,
    "…)",,"fgsm_l1 ε=0.1, value",,all users NDCG,2.3706000000000005,1.6261692083327643,3.1150307916672366,5,
    "…)",,"fgsm_l1 ε=0.1, value",,all users Recall,3.3188400000000002,2.27663689166587,4.361043108334131,5,
    "…)",,"fgsm_l1 ε=0.1, value",,all users HR,7.111800000000001,4.878507624998292,9.345092375001709,5,
    "…)",,"fgsm_l1 ε=0.1, value",,all users Precision,0.94824,0.6504676833331056,1.2460123166668944,5,
    "…)",,"fgsm_l1 ε=0.1, value",,left out,,,,,20
    "…): change against the clean agent (valid, in percent of its number)",,"fgsm_l1 ε=0.1, value",,NDCG,-47.10843373493976,,,,
    "…): change against the clean agent (valid, in percent of its number)",,"fgsm_l1 ε=0.1, value",,Recall,-47.10843373493976,,,,
    "…): change against the clean agent (valid, in percent of its number)",,"fgsm_l1 ε=0.1, value",,HR,-47.108433734939744,,,,
    "…): change against the clean agent (valid, in percent of its number)",,"fgsm_l1 ε=0.1, value",,Precision,-47.108433734939766,,,,
    "…): verdict on the paper's number",,"fgsm_l1 ε=0.1, value",,NDCG,,,,,within
    "…): verdict on the paper's number",,"fgsm_l1 ε=0.1, value",,Recall,,,,,within
    "…): verdict on the paper's number",,"fgsm_l1 ε=0.1, value",,HR,,,,,within
    "…): verdict on the paper's number",,"fgsm_l1 ε=0.1, value",,Precision,,,,,same direction
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,seeds,,,,,5
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,P ours,0.8883000000000001,0.8469427337962647,0.9296572662037355,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,P paper,0.919,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,R ours,0.8483,0.8069427337962647,0.8896572662037354,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,R paper,0.89,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,F1 ours,0.8683,0.8269427337962646,0.9096572662037353,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,F1 paper,0.904,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,AUROC,0.9682999999999999,0.9269427337962646,1.0096572662037353,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,AUPRC,,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,fgsm_l1 ε=0.1,,FPR@95,,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,seeds,,,,,5
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,P ours,0.7710000000000001,0.7584674950897773,0.783532504910223,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,R ours,0.7310000000000001,0.7184674950897773,0.7435325049102229,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,F1 ours,0.751,0.7384674950897772,0.7635325049102228,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,AUROC,0.851,0.8384674950897771,0.8635325049102228,5,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,AUPRC,,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1",,none (halves of clean paths),,FPR@95,,,,,
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number",,fgsm_l1 ε=0.1,,P,,,,,within
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number",,fgsm_l1 ε=0.1,,R,,,,,outside
    "…, actor_critic): gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number",,fgsm_l1 ε=0.1,,F1,,,,,within
    "#);
}

#[test]
fn latex_has_spans_and_numbers_with_their_intervals() {
    insta::assert_snapshot!(report(&["--format", "latex"]), @r"
    % Needs in the preamble:
    %   \usepackage{booktabs}
    %   \usepackage{siunitx}
    %   \sisetup{separate-uncertainty = true, detect-all}
    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users)}
    \begin{tabular}{lrrrrrrrrr}
    \toprule
     & & \multicolumn{2}{c}{NDCG} & \multicolumn{2}{c}{Recall} & \multicolumn{2}{c}{HR} & \multicolumn{2}{c}{Precision} \\
    \cmidrule(lr){3-4}\cmidrule(lr){5-6}\cmidrule(lr){7-8}\cmidrule(lr){9-10}
    agent or attack & seeds & ours & paper & ours & paper & ours & paper & ours & paper \\
    \midrule
    {}Original & \num{5} & \num{4.980 +- 0.251} & \num{4.654} & \num{6.972 +- 0.351} & \num{6.572} & \num{14.940 +- 0.752} & \num{13.993} & \num{1.992 +- 0.100} & \num{1.675} \\
    {}fgsm\_l1 $\varepsilon$=0.1, value & \num{5} & \num{2.634 +- 0.827} & \num{2.695} & \num{3.688 +- 1.158} & \num{3.714} & \num{7.902 +- 2.481} & \num{6.599} & \num{1.054 +- 0.331} & \num{0.693} \\
    \bottomrule
    \end{tabular}
    \end{table}

    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users) (continued)}
    \begin{tabular}{lrrrrr}
    \toprule
     & \multicolumn{4}{c}{all users} & \\
    \cmidrule(lr){2-5}
    agent or attack & NDCG & Recall & HR & Precision & left out \\
    \midrule
    {}Original & \num{4.482 +- 0.226} & \num{6.275 +- 0.316} & \num{13.446 +- 0.677} & \num{1.793 +- 0.090} & \num{20} \\
    {}fgsm\_l1 $\varepsilon$=0.1, value & \num{2.371 +- 0.744} & \num{3.319 +- 1.042} & \num{7.112 +- 2.233} & \num{0.948 +- 0.298} & \num{20} \\
    \bottomrule
    \end{tabular}
    \end{table}

    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users): change against the clean agent (valid, in percent of its number)}
    \begin{tabular}{lrrrr}
    \toprule
    agent or attack & NDCG & Recall & HR & Precision \\
    \midrule
    {}fgsm\_l1 $\varepsilon$=0.1, value & \num{-47.1} & \num{-47.1} & \num{-47.1} & \num{-47.1} \\
    \bottomrule
    \end{tabular}
    \end{table}

    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users): verdict on the paper's number}
    \begin{tabular}{lrrrr}
    \toprule
    agent or attack & NDCG & Recall & HR & Precision \\
    \midrule
    {}Original & outside & outside & outside & outside \\
    {}fgsm\_l1 $\varepsilon$=0.1, value & within & within & within & same direction \\
    \bottomrule
    \end{tabular}
    \end{table}

    % \paragraph{How to read it}
    % \begin{itemize}
    % \item {}All metrics are of the top 10 and in percent: means over seeds $\pm$ half of their 95 \% Student t interval. One seed has no interval.
    % \item {}NDCG, Recall, HR and Precision are \texttt{valid}: averaged, as the paper's program does, over the users who get a full list of ten. ``left out'' is the mean number of users who do not.
    % \item {}The columns ``all'' are \texttt{all\_users}: averaged over every user with test items, missing places counted as misses. Where many users are left out, \texttt{valid} averages a handful of survivors; read ``all'' then.
    % \item {}``paper'' is the published number: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based Interactive Recommender Systems, SIGIR 2020, Table 1: adversarial attack results, MMD between benign and adversarial distribution on Amazon Beauty. The paper does not define its attacks to the last detail; rows of more than one definition may stand beside the same number.
    % \item {}Verdicts: the paper's number lies \texttt{within} the 95 \% interval of ours; or not, but both went the \texttt{same direction} from the clean agent's; or it \texttt{contradicts} ours. For the clean agent itself, \texttt{within} or \texttt{outside}.
    % \end{itemize}
    %
    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users, actor\_critic): gru\_attention trained on fgsm\_l1 $\varepsilon$=0.1}
    \begin{tabular}{lrrrrrrrrrr}
    \toprule
     & & \multicolumn{2}{c}{P} & \multicolumn{2}{c}{R} & \multicolumn{2}{c}{F1} & & & \\
    \cmidrule(lr){3-4}\cmidrule(lr){5-6}\cmidrule(lr){7-8}
    tested on & seeds & ours & paper & ours & paper & ours & paper & AUROC & AUPRC & FPR@95 \\
    \midrule
    {}fgsm\_l1 $\varepsilon$=0.1 & \num{5} & \num{0.888 +- 0.041} & \num{0.919} & \num{0.848 +- 0.041} & \num{0.890} & \num{0.868 +- 0.041} & \num{0.904} & \num{0.968 +- 0.041} & {--} & {--} \\
    {}none (halves of clean paths) & \num{5} & \num{0.771 +- 0.013} &  & \num{0.731 +- 0.013} &  & \num{0.751 +- 0.013} &  & \num{0.851 +- 0.013} & {--} & {--} \\
    \bottomrule
    \end{tabular}
    \end{table}

    \begin{table}[htbp]
    \centering
    \footnotesize
    \setlength{\tabcolsep}{4pt}
    \caption{Amazon\_Beauty (grid \texttt{formats}, all users, actor\_critic): gru\_attention trained on fgsm\_l1 $\varepsilon$=0.1: verdict on the paper's number}
    \begin{tabular}{lrrr}
    \toprule
    tested on & P & R & F1 \\
    \midrule
    {}fgsm\_l1 $\varepsilon$=0.1 & within & outside & within \\
    \bottomrule
    \end{tabular}
    \end{table}

    % \paragraph{How to read Table 2}
    % \begin{itemize}
    % \item {}Positive is a path of the attacked rollout, by the detector's rule \texttt{label}; negative a clean path that no training saw. P, R, F1: precision, recall and F1 where a score of 0.5 or more says attacked; AUPRC: average precision; FPR@95: the false-positive rate at which 95 \% of the attacked paths are found. P, F1 and AUPRC depend on the share of attacked paths, which is \texttt{prevalence} in the view \texttt{table2}.
    % \item {}Means over seeds $\pm$ half of their 95 \% Student t interval; of one seed $\pm$ half of its 95 \% bootstrap interval over users.
    % \item {}The test without an attack is of two halves of the clean paths: AUROC 0.5 is right there.
    % \item {}``paper'' is the published number: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based Interactive Recommender Systems, SIGIR 2020, Table 2: detection result and factor analysis. The paper names neither the definition of its attacks nor the rule that chose the attacked steps; rows of more than one may stand beside the same number.
    % \item {}Verdicts: the paper's number lies \texttt{within} the 95 \% interval of ours or \texttt{outside}.
    % \end{itemize}
    %
    ");
}

#[test]
fn latex_compiles_as_it_is() {
    let Some(compiler) = ["pdflatex", "tectonic"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_ok())
    else {
        eprintln!("skipped: neither pdflatex nor tectonic is installed");
        return;
    };
    let lab = papers();
    let reports: [(&str, &[&str]); 3] = [
        ("tables.tex", &[]),
        ("bootstrap.tex", &["--interval", "bootstrap"]),
        (
            "general.tex",
            &["--rows", "attack,epsilon", "--cols", "split,metric", "--split", "valid,all_users"],
        ),
    ];
    for (file, more) in reports {
        told(&lab, &[&["report", "--standalone", "--out", file], more].concat());
        let mut command = Command::new(compiler);
        if compiler == "pdflatex" {
            command.args(["-interaction=nonstopmode", "-halt-on-error"]);
        }
        let output = command.arg(file).current_dir(lab.path("")).output().unwrap();
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        if log.contains(".sty' not found") {
            eprintln!("skipped: this TeX has no booktabs or siunitx");
            return;
        }
        assert!(output.status.success(), "{log}");
        assert!(lab.path(file).with_extension("pdf").is_file());
        // What is too wide for the page would be cut off.
        assert!(!log.contains("Overfull \\hbox"), "{log}");
    }
}

#[test]
fn html_is_a_table_for_screen_readers() {
    let html = report(&["--format", "html"]);
    let start = html.find("<div").unwrap();
    insta::assert_snapshot!(&html[start..start + html[start..].find("</div>").unwrap()], @r#"
    <div class="table" tabindex="0">
    <table>
    <caption>Amazon_Beauty (grid <code>formats</code>, all users)</caption>
    <thead>
    <tr><th scope="col" rowspan="2">agent or attack</th><th scope="col" rowspan="2">seeds</th><th scope="colgroup" colspan="2">NDCG</th><th scope="colgroup" colspan="2">Recall</th><th scope="colgroup" colspan="2">HR</th><th scope="colgroup" colspan="2">Precision</th><th scope="colgroup" colspan="4">all users</th><th scope="col" rowspan="2">left out</th></tr>
    <tr><th scope="col">ours</th><th scope="col">paper</th><th scope="col">ours</th><th scope="col">paper</th><th scope="col">ours</th><th scope="col">paper</th><th scope="col">ours</th><th scope="col">paper</th><th scope="col">NDCG</th><th scope="col">Recall</th><th scope="col">HR</th><th scope="col">Precision</th></tr>
    </thead>
    <tbody>
    <tr><th scope="row">Original</th><td>5</td><td data-value="4.9799999999999995" data-lower="4.729349901795543" data-upper="5.230650098204456">4.980 ± 0.251</td><td data-value="4.654">4.654</td><td data-value="6.9719999999999995" data-lower="6.62108986251376" data-upper="7.322910137486239">6.972 ± 0.351</td><td data-value="6.572">6.572</td><td data-value="14.939999999999998" data-lower="14.188049705386629" data-upper="15.691950294613367">14.940 ± 0.752</td><td data-value="13.993">13.993</td><td data-value="1.9920000000000002" data-lower="1.8917399607182175" data-upper="2.0922600392817827">1.992 ± 0.100</td><td data-value="1.675">1.675</td><td data-value="4.482" data-lower="4.256414911615989" data-upper="4.707585088384011">4.482 ± 0.226</td><td data-value="6.2748" data-lower="5.958980876262385" data-upper="6.590619123737615">6.275 ± 0.316</td><td data-value="13.445999999999998" data-lower="12.769244734847966" data-upper="14.12275526515203">13.446 ± 0.677</td><td data-value="1.7928000000000002" data-lower="1.7025659646463958" data-upper="1.8830340353536046">1.793 ± 0.090</td><td>20</td></tr>
    <tr><th scope="row">fgsm_l1 ε=0.1, value</th><td>5</td><td data-value="2.634" data-lower="1.806854675925293" data-upper="3.4611453240747068">2.634 ± 0.827</td><td data-value="2.695">2.695</td><td data-value="3.6875999999999998" data-lower="2.5295965462954104" data-upper="4.845603453704589">3.688 ± 1.158</td><td data-value="3.714">3.714</td><td data-value="7.902000000000001" data-lower="5.420564027775881" data-upper="10.38343597222412">7.902 ± 2.481</td><td data-value="6.599">6.599</td><td data-value="1.0536" data-lower="0.7227418703701174" data-upper="1.3844581296298828">1.054 ± 0.331</td><td data-value="0.693">0.693</td><td data-value="2.3706000000000005" data-lower="1.6261692083327643" data-upper="3.1150307916672366">2.371 ± 0.744</td><td data-value="3.3188400000000002" data-lower="2.27663689166587" data-upper="4.361043108334131">3.319 ± 1.042</td><td data-value="7.111800000000001" data-lower="4.878507624998292" data-upper="9.345092375001709">7.112 ± 2.233</td><td data-value="0.94824" data-lower="0.6504676833331056" data-upper="1.2460123166668944">0.948 ± 0.298</td><td>20</td></tr>
    </tbody>
    </table>
    "#);
    let count = |what: &str| html.matches(what).count();
    assert_eq!(count("<table>"), count("<caption>"));
    assert_eq!(count("<th "), count("<th scope="));
    let page = report(&["--format", "html", "--standalone"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(&html), "{page}");
}

#[test]
fn verdicts_and_bootstrap_intervals_are_shown_when_asked_for() {
    let text = report(&["--format", "terminal", "--verdicts", "--interval", "bootstrap"]);
    insta::assert_snapshot!(text, @r#"
    Table 1: ranking under attack

    Amazon_Beauty (grid `formats`, all users)

    valid: users with a full list of ten, as the paper averages
      agent or attack                    NDCG             Recall                    HR          Precision  seeds
      Original              4.98 [4.84, 5.15]  6.97 [6.78, 7.21]  14.94 [14.52, 15.45]  1.99 [1.94, 2.06]      5
        paper                            4.65               6.57                 13.99               1.68
      fgsm_l1 ε=0.1, value  2.63 [2.17, 3.19]  3.69 [3.04, 4.47]     7.90 [6.52, 9.58]  1.05 [0.87, 1.29]      5
        paper                            2.69               3.71                  6.60               0.69

    all: every user with test items, missing places counted as misses
      agent or attack                    NDCG             Recall                    HR          Precision  left out
      Original              4.48 [4.36, 4.64]  6.27 [6.10, 6.49]  13.45 [13.07, 13.90]  1.79 [1.74, 1.85]        20
      fgsm_l1 ε=0.1, value  2.37 [1.95, 2.88]  3.32 [2.74, 4.03]     7.11 [5.86, 8.63]  0.95 [0.78, 1.15]        20

    change against the clean agent (valid, in percent of its number)
      agent or attack        NDCG  Recall     HR  Precision
      fgsm_l1 ε=0.1, value  -47.1   -47.1  -47.1      -47.1

    verdict on the paper's number
      agent or attack          NDCG   Recall       HR       Precision
      Original              outside  outside  outside         outside
      fgsm_l1 ε=0.1, value   within   within   within  same direction

    interquartile means over seeds, where there are at least five: valid
      agent or attack                       NDCG                Recall                       HR             Precision
      Original              4.933 [4.817, 5.217]  6.907 [6.743, 7.303]  14.800 [14.450, 15.650]  1.973 [1.927, 2.067]
      fgsm_l1 ε=0.1, value  2.480 [2.095, 3.415]  3.472 [2.933, 4.781]    7.440 [6.285, 10.245]  0.992 [0.838, 1.366]

    interquartile means over seeds, where there are at least five: all users
      agent or attack                       NDCG                Recall                       HR             Precision
      Original              4.440 [4.335, 4.695]  6.216 [6.069, 6.573]  13.320 [13.005, 14.085]  1.776 [1.734, 1.878]
      fgsm_l1 ε=0.1, value  2.232 [1.886, 2.925]  3.125 [2.709, 4.303]     6.696 [5.801, 9.221]  0.893 [0.754, 1.229]

    - Top 10, in percent; means over seeds [their 95 % bootstrap interval]. "left out": users without
      a full list of ten.
    - "paper": the published number for the row above it.
    - Verdicts: the paper's number lies `within` the 95 % interval of ours; or not, but both went the
      `same direction` from the clean agent's; or it `contradicts` ours. For the clean agent itself,
      `within` or `outside`.

    Table 2: detection of attacked paths

    Amazon_Beauty (grid `formats`, all users, actor_critic)

    gru_attention trained on fgsm_l1 ε=0.1
      tested on                         P      R                    F1                 AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                 0.888  0.848  0.868 [0.840, 0.891]  0.968 [0.939, 0.991]      –       –      5
        paper                       0.919  0.890                 0.904
      none (halves of clean paths)  0.771  0.731  0.751 [0.742, 0.758]  0.851 [0.843, 0.858]      –       –      5

    gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number
      tested on            P        R       F1
      fgsm_l1 ε=0.1  outside  outside  outside

    - P, R, F1: precision, recall and F1 at 0.5; FPR@95: false-positive rate where 95 % of the
      attacked paths are found. In brackets: the 95 % bootstrap interval over seeds; ±, of one seed
      half of its bootstrap interval over users.
    - "paper": the published numbers for the row above them.
    - Verdicts: the paper's number lies `within` the 95 % interval of ours or `outside`.
    "#);
    // The same draws in every run.
    assert_eq!(text, report(&["--format", "terminal", "--verdicts", "--interval", "bootstrap"]));
}
