//! The results of a map as files: numbers, figures, grids of members and `map.html`.

use ebm_figures::{Report, Table};
use ebm_landscape::Minimum;

use super::pictures::{write_plane, write_sweep, write_tree};
use super::summary::{BasinRecord, MultipleRecord, tree};
use super::{MapFolder, State, Summary};
use crate::ExperimentError;
use crate::diagnosis::short;
use crate::json::write_json;
use crate::pictures::{grid, write_grid};
use crate::words::rounded;

/// The number of basins with rows of their own on the page, and grids of their members.
const SHOWN: usize = 40;

/// All that is shown.
pub(crate) struct Page<'a> {
    pub(crate) state: &'a State,
    pub(crate) minima: &'a [Minimum],
    pub(crate) summary: &'a Summary,
    pub(crate) folder: &'a MapFolder,
}

impl Page<'_> {
    /// Writes everything; the page last.
    ///
    /// # Errors
    /// [`ExperimentError::Diagnostics`], [`ExperimentError::Io`].
    pub(crate) fn write(&self) -> Result<(), ExperimentError> {
        let (summary, settings) = (self.summary, &self.state.settings);
        write_json(&self.folder.path("map.json"), summary)?;
        let mut report = Report::new("Metastable basins of a learned energy")
            .verdict(&summary.sentence, self.text());
        let shown = &summary.barriers.basins;
        let figure = write_tree(
            self.state,
            self.folder,
            self.minima,
            &summary.basins,
            shown,
            &tree(self.state)?,
        )?;
        report = report.figure(
            &figure,
            "Disconnectivity graph. A basin hangs at the energy of its lowest minimum; two basins join at the lowest \
             barrier found between them. Barriers are upper estimates, up to the length of a step.",
        );
        if let Some(figure) = write_plane(self.folder, self.minima, &summary.basins)? {
            report = report.figure(
                &figure,
                "The minima, each in the colour of its basin; a ring and the number of the basin mark the lowest of \
                 each.",
            );
        }
        report = self.members(report)?;
        if let Some(figure) = write_sweep(self.state, self.folder)? {
            report = report.figure(
                &figure,
                "How the basins depend on the pull. Left of the transition every minimum is a basin, right of it \
                 there is one basin.",
            );
        }
        report = report
            .table(self.numbers())
            .table(self.basins())
            .table(self.merges());
        if !summary.multiples.is_empty() {
            report = report.table(self.multiples());
        }
        if let Some(digits) = &summary.digits {
            report = report.table(digits.table());
        }
        let json = serde_json::to_string_pretty(settings).unwrap_or_default();
        Ok(report
            .config(json)
            .command(&settings.command)
            .write_html(self.folder.page())?)
    }

    fn text(&self) -> String {
        let (summary, settings) = (self.summary, &self.state.settings);
        let starts: Vec<&str> = settings
            .starts
            .iter()
            .map(|start| &start.what[..])
            .collect();
        let gathering = &summary.gathering;
        format!(
            "{} chains from each of: {}, under {}. Each took {} Langevin steps as in learning and then descended \
             without noise. Energies are U = F/T.\n\
             A minimum joins the basin whose lowest minimum it reaches, or that reaches it, by Langevin dynamics on U/τ + α‖X − X*‖ with τ = {}, within δ = {} (minima are {} apart in root mean square). α = {} is {}.",
            settings.chains,
            starts.join(", "),
            settings.weights,
            settings.gather_steps,
            settings.temperature_factor,
            short(gathering.resolution),
            short(gathering.distance),
            short(summary.strength.alpha),
            summary.strength.choice.in_words(),
        )
    }

    /// Grids of the members of each basin, for images.
    fn members(&self, mut report: Report) -> Result<Report, ExperimentError> {
        let settings = &self.state.settings;
        if !settings.is_image() || !matches!(settings.state_shape[0], 1 | 3) {
            return Ok(report);
        }
        let folder = self.folder.make("basins")?;
        let rows = |members: &[usize]| -> Vec<f32> {
            let states = members.iter().map(|member| &self.minima[*member].state);
            states.flatten().copied().collect()
        };
        let mut shown = 0;
        for (number, basin) in self.summary.basins.iter().enumerate() {
            let states = rows(&basin.members);
            let path = folder.join(format!("{number:02}.png"));
            write_grid(&states, settings.state_shape, &path)?;
            if basin.members.len() > 1 && shown < SHOWN {
                let caption = format!(
                    "Basin {number}: {} minima, the lowest first{}.",
                    basin.members.len(),
                    read(basin)
                );
                report = report.image(&grid(&states, settings.state_shape)?, &caption)?;
                shown += 1;
            }
        }
        report = report.side_by_side(shown);
        let alone: Vec<usize> = self
            .summary
            .basins
            .iter()
            .filter(|basin| basin.members.len() == 1)
            .map(|basin| basin.representative)
            .collect();
        if !alone.is_empty() {
            let picture = grid(&rows(&alone), settings.state_shape)?;
            let caption = format!(
                "Basins of one minimum: {}, the lowest first, at most 64 shown.",
                alone.len()
            );
            report = report.image(&picture, &caption)?;
        }
        Ok(report)
    }

    fn numbers(&self) -> Table {
        let summary = self.summary;
        let (gathering, strength) = (&summary.gathering, &summary.strength);
        let mut rows = vec![
            ["chains".to_owned(), gathering.chains.to_string()],
            [
                "left out: NaN or infinite".into(),
                gathering.not_finite.to_string(),
            ],
            ["minima".into(), gathering.minima.to_string()],
            [
                "of these not at rest at the end of the descent".into(),
                gathering.not_at_rest.to_string(),
            ],
            [
                "r, mean ‖∇F‖₂ of their chains".into(),
                short(gathering.mean_slope),
            ],
            [
                "root mean square distance of minima".into(),
                short(gathering.distance),
            ],
            ["δ".into(), short(gathering.resolution)],
            [
                "α (nats of U/τ per unit of distance)".into(),
                short(strength.alpha),
            ],
            [
                "pull αTτ over r".into(),
                format!("{:.4}", strength.pull_over_slope),
            ],
            [
                "(d − 1)/α, the distance at which noise holds a chain where U is flat".into(),
                short(strength.flat_distance),
            ],
            ["basins".into(), summary.basins.len().to_string()],
            [
                "of these with one minimum".into(),
                summary.singletons().to_string(),
            ],
            [
                "pairs of basins with a barrier, without".into(),
                format!(
                    "{}, {}",
                    summary.barriers.found.len(),
                    summary.barriers.not_found.len()
                ),
            ],
            [
                "chain steps after the gathering".into(),
                rounded(summary.chain_steps as f64),
            ],
        ];
        if self.state.settings.is_image() {
            let saturated = [
                "left out: most pixels beyond ±1.5".to_owned(),
                gathering.saturated.to_string(),
            ];
            rows.insert(2, saturated);
        }
        for grouping in summary.groupings.iter().skip(1) {
            rows.push([
                format!("basins with seed {}", grouping.seed),
                grouping.basins.to_string(),
            ]);
        }
        for pair in &summary.stability {
            let [a, b] = pair.groupings.map(|number| summary.groupings[number].seed);
            rows.push([
                format!("adjusted Rand index of the groupings with seeds {a} and {b}"),
                format!("{:.4}", pair.adjusted_rand_index),
            ]);
        }
        Table {
            caption: "The map in numbers".into(),
            header: ["quantity", "value"].map(String::from).to_vec(),
            rows: rows.into_iter().map(Vec::from).collect(),
        }
    }

    fn basins(&self) -> Table {
        let summary = self.summary;
        let is_image = self.state.settings.is_image();
        let row = |(number, basin): (usize, &BasinRecord)| {
            let lowest = basin.lowest_barrier;
            let lowest = lowest.map_or_else(|| "–".to_owned(), |at| short(at - basin.energy));
            let mut row = vec![
                number.to_string(),
                basin.members.len().to_string(),
                short(basin.energy),
                lowest,
            ];
            if !is_image {
                let state = &self.minima[basin.representative].state;
                let coordinates: Vec<_> = state.iter().map(|x| format!("{x:.3}")).collect();
                row.push(format!("({})", coordinates.join(", ")));
            } else if let Some(digits) = &basin.digits {
                let counts: Vec<_> = digits.iter().map(ToString::to_string).collect();
                row.push(counts.join(" "));
            }
            row
        };
        let mut header = vec![
            "basin",
            "minima",
            "lowest U (nats)",
            "lowest barrier above it (nats)",
        ];
        if !is_image {
            header.push("lowest minimum");
        } else if summary.digits.is_some() {
            header.push("minima read as 0 to 9");
        }
        let all = summary.basins.len();
        let caption = if all > SHOWN {
            format!("The {SHOWN} lowest of {all} basins")
        } else {
            "Basins".to_owned()
        };
        Table {
            caption,
            header: header.into_iter().map(String::from).collect(),
            rows: summary
                .basins
                .iter()
                .enumerate()
                .take(SHOWN)
                .map(row)
                .collect(),
        }
    }

    fn multiples(&self) -> Table {
        let summary = self.summary;
        let row = |it: &MultipleRecord| {
            let mut row = vec![
                short(it.alpha),
                it.basins.to_string(),
                it.singletons.to_string(),
                it.largest.to_string(),
                format!("{:.3}", it.adjusted_rand_index),
            ];
            row.extend(
                it.digits
                    .iter()
                    .map(|digits| format!("{:.3}", digits.purity)),
            );
            row
        };
        let mut header = vec![
            "α",
            "basins",
            "with one minimum",
            "minima of the largest",
            "adjusted Rand index with the map",
        ];
        if summary.digits.is_some() {
            header.push("purity of the digits read");
        }
        Table {
            caption: "The same minima with weaker and stronger pulls".into(),
            header: header.into_iter().map(String::from).collect(),
            rows: summary.multiples.iter().map(row).collect(),
        }
    }

    fn merges(&self) -> Table {
        let list = |basins: &[usize]| {
            let words: Vec<_> = basins.iter().map(ToString::to_string).collect();
            words.join(", ")
        };
        let rows = self.summary.barriers.merges.iter().map(|merge| {
            let [a, b] = &merge.basins;
            vec![short(merge.energy), list(a), list(b)]
        });
        Table {
            caption: "From which U on basins are one".into(),
            header: ["U (nats)", "basins", "with basins"]
                .map(String::from)
                .to_vec(),
            rows: rows.collect(),
        }
    }
}

/// The digits read most often in a basin.
fn read(basin: &BasinRecord) -> String {
    let Some(digits) = &basin.digits else {
        return String::new();
    };
    let mut counts: Vec<(usize, usize)> = digits.iter().copied().enumerate().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .take(3)
        .map(|(digit, count)| format!("{count} × {digit}"))
        .collect();
    format!("; read as {}", words.join(", "))
}
