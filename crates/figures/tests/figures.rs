//! Figures from usual and from hostile series. Set `EBM_FIGURES` to a folder to keep the pictures.
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::verdict::{ChainGroup, ChainOrigin};
use ebm_diagnostics::{DensityGrid, IterationMetrics, RunSummary, SummaryOptions, kernel_density};
use ebm_figures::plot::{
    ChainEnergies, CorrelationOptions, DiagnosticOptions, Landscape, LineFigure, LineSeries, Plane,
    PlanePoint, Reference, Transition, chain_energy_figure, correlation_figure, density_figure,
    diagnostic_figure, line_figure, plane_figure, transition_figure,
};
use ebm_figures::{Figure, Report, Table, image_grid};

#[path = "figures/disconnectivity.rs"]
mod disconnectivity;

fn keep(figure: &Figure, name: &str) {
    if let Some(folder) = std::env::var_os("EBM_FIGURES") {
        let path = std::path::Path::new(&folder).join(name);
        figure.write_png(path.with_extension("png")).unwrap();
        figure.write_svg(path.with_extension("svg")).unwrap();
    }
}

/// The width and height of a PNG file, from its header.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

fn metrics(
    length: usize,
    d: impl Fn(usize) -> f64,
    r: impl Fn(usize) -> f64,
) -> Vec<IterationMetrics> {
    (0..length)
        .map(|t| IterationMetrics {
            iteration: t as u64 + 1,
            energy_difference: d(t),
            gradient_magnitude: r(t),
            energy_data: 0.0,
            energy_samples: 0.0,
            learning_rate: 1e-4,
            acceptance_rate: None,
        })
        .collect()
}

fn wave(t: usize) -> f64 {
    (t as f64 * 1.7).sin() + 0.3 * (t as f64 * 0.37).cos()
}

#[test]
fn diagnostic_figure_has_its_parts() {
    let run = metrics(
        2500,
        |t| if t == 700 { 900.0 } else { wave(t) },
        |t| 0.8 + 0.01 * wave(t / 9),
    );
    let options = DiagnosticOptions {
        title: "eight Gaussians <convergent> & \"quoted\"\u{0}".to_owned(),
        noise: 0.79,
        ..DiagnosticOptions::default()
    };
    let figure = diagnostic_figure(&run, &options).unwrap();
    let svg = figure.to_svg();
    for part in [
        "energy difference",
        "dashed: ε = 0.79",
        "1 beyond the axis",
        "cross-correlation",
        "last 2,000 iterations",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(svg.contains("&lt;convergent&gt; &amp;") && !svg.contains('\u{0}'));
    assert!(!svg.contains(" id="));
    assert_eq!(png_size(&figure.to_png().unwrap()), (1600, 1200));
    keep(&figure, "diagnostic");
}

#[test]
fn diagnostic_figure_takes_any_series() {
    let options = DiagnosticOptions {
        noise: 0.01,
        ..DiagnosticOptions::default()
    };
    let cases: [(&str, Vec<IterationMetrics>); 7] = [
        ("two", metrics(2, wave, wave)),
        ("constant", metrics(50, |_| 0.1, |_| 0.8)),
        ("zero", metrics(50, |_| 0.0, |_| 0.0)),
        (
            "nothing-finite",
            metrics(50, |_| f64::NAN, |_| f64::INFINITY),
        ),
        (
            "diverged",
            metrics(
                50,
                |t| {
                    if t > 30 {
                        f64::NAN
                    } else {
                        (t as f64 / 2.0).exp()
                    }
                },
                |t| 10_f64.powi(10 * t as i32),
            ),
        ),
        (
            "huge",
            metrics(
                50,
                |t| if t % 2 == 0 { f64::MAX } else { f64::MIN },
                |_| f64::MAX,
            ),
        ),
        (
            "one-finite",
            metrics(50, |t| if t == 3 { 1.0 } else { f64::NAN }, |_| 1e-300),
        ),
    ];
    for (name, run) in cases {
        let figure = diagnostic_figure(&run, &options).unwrap();
        figure.to_png().unwrap();
        keep(&figure, &format!("diagnostic-{name}"));
    }
    let mut same = metrics(5, wave, wave);
    same.iter_mut().for_each(|m| m.iteration = u64::MAX);
    diagnostic_figure(&same, &options).unwrap();
    diagnostic_figure(&metrics(1, wave, wave), &options).unwrap();
    assert!(diagnostic_figure(&[], &options).is_err());
    let no_window = DiagnosticOptions {
        window: 0,
        ..options
    };
    assert!(diagnostic_figure(&same, &no_window).is_err());
}

#[test]
fn correlation_figure_has_its_four_panels() {
    let run = metrics(
        3000,
        |t| wave(t) * if t % 2 == 0 { 1.0 } else { -1.0 },
        |t| 0.8 + 0.01 * wave(t / 9),
    );
    let options = CorrelationOptions {
        title: "strong oscillation".to_owned(),
        ..CorrelationOptions::default()
    };
    let figure = correlation_figure(&run, &options).unwrap();
    let svg = figure.to_svg();
    for part in [
        ">\nautocorrelation of d",
        "partial autocorrelation of d",
        "autocorrelation of r",
        "cross-correlation of d and r",
        "last 1,500 iterations",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert_eq!(png_size(&figure.to_png().unwrap()), (1600, 1200));
    keep(&figure, "correlations");

    for run in [metrics(50, |_| 0.0, |_| 0.0), metrics(3, wave, wave)] {
        correlation_figure(&run, &options)
            .unwrap()
            .to_png()
            .unwrap();
    }
    let mut gap = run;
    gap[2900].energy_difference = f64::NAN;
    let svg = correlation_figure(&gap, &options).unwrap().to_svg();
    assert!(svg.contains("1,499 finite of the last 1,500 iterations"));
    assert!(correlation_figure(&[], &options).is_err());
    assert!(correlation_figure(&metrics(50, |_| f64::NAN, wave), &options).is_err());
}

#[test]
fn chain_energy_figure_shows_bands_over_decades() {
    let group = |start, level: f64, sinks: f64| {
        let steps: Vec<u64> = (0..=40)
            .map(|k| 10_f64.powf(f64::from(k) * 0.1).round() as u64)
            .collect();
        let mut steps = [vec![0], steps].concat();
        steps.dedup();
        let energies = steps
            .iter()
            .enumerate()
            .flat_map(|(record, step)| {
                let sunk = sinks * (*step as f64).ln_1p();
                (0..20).map(move |chain| level - sunk + wave(31 * record + 7 * chain))
            })
            .collect();
        ChainGroup {
            start,
            chains: 20,
            steps,
            energies,
            state_summaries: Vec::new(),
        }
    };
    let groups = [
        group(ChainOrigin::Noise, 20.0, 4.0),
        group(ChainOrigin::Data, 0.0, 0.3),
        group(ChainOrigin::Bank, -4.0, 0.0),
    ];
    let mut energies = ChainEnergies {
        title: "energy U of long chains (nats)".to_owned(),
        groups: &groups,
        training_steps: Some(100),
        data_energy: Some(0.5),
    };
    let figure = chain_energy_figure(&energies).unwrap();
    let svg = figure.to_svg();
    for part in [
        "from noise (20 chains)",
        "from the bank (20 chains)",
        "upright: training length 100",
        "3 starts at step 0 not shown",
        ">\n10,000\n<",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert_eq!(png_size(&figure.to_png().unwrap()), (1600, 900));
    keep(&figure, "chain-energies");

    energies.groups = &[];
    assert!(chain_energy_figure(&energies).is_err());
    let mut broken = groups[0].clone();
    broken.energies[3] = f64::NAN;
    broken.energies[20 * 10..20 * 11].fill(f64::INFINITY);
    let broken = [broken];
    energies.groups = &broken;
    let figure = chain_energy_figure(&energies).unwrap();
    assert!(figure.to_svg().contains("21 energies not finite"));
    let mut huge = groups[0].clone();
    huge.energies.iter_mut().for_each(|e| *e *= 1e306);
    let huge = [huge];
    energies.groups = &huge;
    chain_energy_figure(&energies).unwrap().to_png().unwrap();
}

/// Eight Gaussians on a circle, sharper or wider.
fn ring(sd: f64) -> DensityGrid {
    DensityGrid::from_log_density(200, 1.6, |x, y| {
        let sum: f64 = (0..8)
            .map(|k| {
                let (sin, cos) = (f64::from(k) * std::f64::consts::FRAC_PI_4).sin_cos();
                (-((x - cos).powi(2) + (y - sin).powi(2)) / (2.0 * sd * sd)).exp()
            })
            .sum();
        sum.ln()
    })
    .unwrap()
}

#[test]
fn landscape_figure_shows_every_density() {
    let samples: Vec<[f64; 2]> = (0..4000)
        .map(|t| {
            let (sin, cos) = (f64::from(t % 8) * std::f64::consts::FRAC_PI_4).sin_cos();
            [
                cos + 0.15 * wave(t as usize),
                sin + 0.15 * wave(t as usize * 7 + 3),
            ]
        })
        .collect();
    let short_run = kernel_density(&samples, 0.05, 200, 1.6).unwrap();
    let (truth, learned) = (ring(0.15), ring(0.2));
    let figure = density_figure(&Landscape {
        title: "eight Gaussians",
        truth: &truth,
        learned: &learned,
        short_run: &short_run,
    })
    .unwrap();
    let svg = figure.to_svg();
    assert_eq!(svg.matches("<image").count(), 8);
    assert!(svg.len() < 3_000_000, "{} bytes", svg.len());
    assert_eq!(png_size(&figure.to_png().unwrap()), (1800, 1250));
    keep(&figure, "landscape");

    let one = DensityGrid::from_log_values(1, 1e-90, vec![0.0]).unwrap();
    let flat = Landscape {
        title: "",
        truth: &one,
        learned: &one,
        short_run: &one,
    };
    density_figure(&flat).unwrap().to_png().unwrap();
}

#[test]
fn line_figure_shows_names_and_reference() {
    let series = |name: &str, level: f64| LineSeries {
        name: name.to_owned(),
        values: (0..500)
            .map(|t| level + 0.2 * wave(t) + 3.0 * (-(t as f64) / 60.0).exp())
            .collect(),
    };
    let mut figure = LineFigure {
        title: "energy of long-run chains (F)".to_owned(),
        x_label: "Langevin step".to_owned(),
        stride: 100,
        series: vec![
            series("from noise", 1.0),
            series("from data", 0.5),
            series("from persistent states", -1.0),
        ],
        reference: Some(Reference {
            label: "mean over the data".to_owned(),
            value: 0.4,
        }),
        ..LineFigure::default()
    };
    let drawn = line_figure(&figure).unwrap();
    assert!(drawn.to_svg().contains("from persistent states"));
    assert_eq!(png_size(&drawn.to_png().unwrap()), (1600, 900));
    keep(&drawn, "lines");

    figure.series = vec![LineSeries {
        name: "x".to_owned(),
        values: vec![f64::NAN, 1.0],
    }];
    assert!(line_figure(&figure).is_err());
}

#[test]
fn transition_figure_marks_a_strength() {
    let share = |alpha: f64| 100.0 / (1.0 + (alpha / 200.0).powi(-6));
    let shares: Vec<(f64, f64)> = (0..20)
        .map(|place| 4.0 * 1.3f64.powi(place))
        .map(|alpha| (alpha, share(alpha)))
        .collect();
    let chosen = Reference {
        label: "α = 115 taken".to_owned(),
        value: 115.0,
    };
    let tolerated = Reference {
        label: "as many as may come together".to_owned(),
        value: 5.0,
    };
    let mut transition = Transition {
        title: "100 pairs of minima: percent that come together",
        x_label: "α (nats of U/τ per unit of distance)",
        shares: &shares,
        reference: Some(&tolerated),
        mark: Some(&chosen),
    };
    let figure = transition_figure(&transition).unwrap();
    let svg = figure.to_svg();
    assert!(svg.contains("α = 115 taken") && svg.contains("dashed: as many"));
    assert_eq!(png_size(&figure.to_png().unwrap()), (1600, 900));
    keep(&figure, "transition");
    // What no logarithmic axis has is left out; a single point is still a figure.
    transition.shares = &[(0.0, 1.0), (f64::NAN, 2.0), (1.0, f64::NAN), (115.0, 5.0)];
    transition_figure(&transition).unwrap().to_png().unwrap();
    transition.shares = &transition.shares[..3];
    assert!(transition_figure(&transition).is_err());
}

#[test]
fn plane_figure_labels_its_groups() {
    let points: Vec<PlanePoint> = (0..80)
        .map(|number| {
            let (group, turn) = (number / 10, f64::from(number / 10) / 8.0);
            let (sine, cosine) = (turn * std::f64::consts::TAU).sin_cos();
            let radius = 1.0 + 0.01 * f64::from(number % 10);
            PlanePoint {
                place: [radius * cosine, radius * sine],
                group: group as usize,
                is_labelled: number % 10 == 0,
            }
        })
        .collect();
    fn plane(points: &[PlanePoint]) -> Plane<'_> {
        Plane {
            title: "80 minima in 8 basins",
            points,
        }
    }
    let figure = plane_figure(&plane(&points)).unwrap();
    // Texts of labels are on lines of their own, as ticks are.
    assert!(figure.to_svg().lines().any(|line| line.trim() == "7"));
    assert_eq!(png_size(&figure.to_png().unwrap()), (1200, 1226));
    keep(&figure, "plane");
    let origin = PlanePoint {
        place: [0.0; 2],
        ..points[0]
    };
    plane_figure(&plane(&[origin])).unwrap().to_png().unwrap();
    let lost = PlanePoint {
        place: [f64::NAN, 0.0],
        ..origin
    };
    assert!(plane_figure(&plane(&[lost])).is_err());
}

#[test]
fn report_binds_everything() {
    let run = metrics(300, wave, |t| 0.8 + 0.05 * wave(t / 4));
    let summary = RunSummary::from_metrics(
        &run,
        &SummaryOptions {
            noise: 0.01,
            state_dimension: Some(3072),
            ..SummaryOptions::default()
        },
    )
    .unwrap();
    let options = DiagnosticOptions {
        title: "short run".to_owned(),
        noise: 0.01,
        state_dimension: Some(3072),
        ..DiagnosticOptions::default()
    };
    let figure = diagnostic_figure(&run, &options).unwrap();
    let states: Vec<f32> = (0..12 * 3 * 16 * 16).map(|i| wave(i) as f32).collect();
    let samples = image_grid(&states, [12, 3, 16, 16], 6, 4).unwrap();
    let cell = |text: &str| text.to_owned();
    let report = Report::new("Eight Gaussians, convergent learning")
        .verdict("Learning is stable.", summary.to_string())
        .figure(&figure, "d, r and their correlations.")
        .image(
            &samples,
            "States of twelve chains after 100 Langevin steps.",
        )
        .unwrap()
        .table(Table {
            caption: cell("divergences on the plot grid"),
            header: vec![cell("pair"), cell("KL (nats)"), cell("total variation")],
            rows: vec![
                vec![cell("learned against true"), cell("0.021"), cell("0.08")],
                vec![cell("short-run against true"), cell("0.35"), cell("0.21")],
            ],
        })
        .config("[sampler]\nnoise = 0.01\nsteps = 100\n")
        .command("ebm train configs/gaussians.toml");
    let folder = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("EBM_FIGURES").map_or(folder.path().to_path_buf(), Into::into);
    report.write_html(folder.join("report.html")).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.join("report.html")).unwrap(),
        report.to_html()
    );
}
