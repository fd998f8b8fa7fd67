//! Disconnectivity graphs of points and of images, and what they refuse.

use ebm_diagnostics::DiagnosticsError;
use ebm_figures::FiguresError;
use ebm_figures::plot::{Basin, Disconnectivity, Merge, disconnectivity_figure};

use super::{keep, png_size, wave};

fn basins(energies: &[f64], members: &[usize]) -> Vec<Basin<'static>> {
    energies
        .iter()
        .zip(members)
        .enumerate()
        .map(|(index, (energy, members))| Basin {
            label: index.to_string(),
            energy: *energy,
            members: *members,
            pixels: None,
        })
        .collect()
}

fn merges(list: &[(usize, usize, f64)]) -> Vec<Merge> {
    list.iter()
        .map(|(a, b, barrier)| Merge {
            clusters: [*a, *b],
            barrier: *barrier,
        })
        .collect()
}

/// A bright closed curve with a number of lobes on black, `[channels, side, side]`.
fn picture(lobes: usize, channels: usize, side: usize) -> Vec<f32> {
    (0..channels * side * side)
        .map(|index| {
            let (channel, pixel) = (index / (side * side), index % (side * side));
            let centred = |at: usize| 2.0 * (at as f64 + 0.5) / side as f64 - 1.0;
            let (x, y) = (centred(pixel % side), centred(pixel / side));
            let radius = 0.5 + 0.2 * (lobes as f64 * y.atan2(x)).cos();
            let bright = (-((x.hypot(y) - radius) / 0.12).powi(2)).exp();
            let shade = if channel == lobes % 3 { 1.0 } else { 0.6 };
            (2.0 * shade * bright - 1.0) as f32
        })
        .collect()
}

/// The value of an attribute of each SVG element of a kind.
fn attributes(svg: &str, element: &str, attribute: &str) -> Vec<i32> {
    svg.split(&format!("<{element} "))
        .skip(1)
        .map(|rest| {
            let rest = rest.split_once(&format!("{attribute}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.parse().unwrap()
        })
        .collect()
}

/// The points of each broken line with so many of them.
fn paths(svg: &str, length: usize) -> Vec<Vec<(i32, i32)>> {
    svg.split("<polyline ")
        .skip(1)
        .map(|rest| {
            let rest = rest.split_once("points=\"").unwrap().1;
            rest.split_once('"')
                .unwrap()
                .0
                .split_whitespace()
                .map(|point| {
                    let (x, y) = point.split_once(',').unwrap();
                    (x.parse().unwrap(), y.parse().unwrap())
                })
                .collect::<Vec<(i32, i32)>>()
        })
        .filter(|path| path.len() == length)
        .collect()
}

#[test]
fn points_of_the_plane_show_lines_circles_and_counts() {
    let basins = basins(&[-12.4, -11.8, -12.1, -9.5], &[412, 377, 1391, 88]);
    let merges = merges(&[(0, 1, -7.9), (3, 4, -6.2), (2, 5, -4.6)]);
    let figure = disconnectivity_figure(&Disconnectivity {
        title: "basins of <eight> Gaussians".to_owned(),
        basins: &basins,
        merges: &merges,
        state_shape: None,
    })
    .unwrap();
    let svg = figure.to_svg();
    for part in [
        "basins of &lt;eight&gt; Gaussians",
        "energy U (nats)",
        ">\n×1,391\n<",
        "lowest barrier found",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(!svg.contains("dashed") && !svg.contains(" id="));
    // 0 is the deepest and 2 the largest; from left to right 0, 1, 3, 2.
    let centres = attributes(&svg, "circle", "cx");
    assert!(
        centres[0] < centres[1] && centres[1] < centres[3] && centres[3] < centres[2],
        "{centres:?}"
    );
    let radii = attributes(&svg, "circle", "r");
    assert_eq!(radii, [13, 12, 24, 6]);
    // Each join goes up from the circle or join of one, across, and down to that of the other.
    let circles: Vec<(i32, i32)> = centres
        .into_iter()
        .zip(attributes(&svg, "circle", "cy"))
        .collect();
    let joins = paths(&svg, 4);
    assert_eq!(joins.len(), 3);
    let middle = |join: &[(i32, i32)]| ((join[1].0 + join[2].0) / 2, join[1].1);
    for (join, [from, to]) in joins.iter().zip([
        [circles[0], circles[1]],
        [circles[3], middle(&joins[0])],
        [circles[2], middle(&joins[1])],
    ]) {
        assert_eq!((join[0], join[3]), (from, to));
        assert_eq!((join[1].0, join[2].0), (from.0, to.0));
        assert_eq!(join[1].1, join[2].1);
        assert!(join[1].1 < from.1.min(to.1));
    }
    assert_eq!(
        figure.description(),
        "basins of <eight> Gaussians: disconnectivity graph of 4 basins with 2,268 members, minima of U from −12.4 to \
         −9.5 nats, joined by 3 barriers from −7.9 to −4.6 nats."
    );
    assert_eq!(png_size(&figure.to_png().unwrap()).0, 1200);
    keep(&figure, "disconnectivity-points");
}

/// Images of so many basins, in trees as the merges of neighbours leave them.
fn image_figure(count: usize, channels: usize, side: usize, parts: usize, name: &str) {
    let energies: Vec<f64> = (0..count).map(|k| 240.0 + 9.0 * wave(3 * k)).collect();
    let members: Vec<usize> = (0..count).map(|k| 1 + (k * k * 37) % 211).collect();
    let pictures: Vec<Vec<f32>> = (0..count).map(|k| picture(k, channels, side)).collect();
    let mut basins = basins(&energies, &members);
    for (basin, pixels) in basins.iter_mut().zip(&pictures) {
        basin.pixels = Some(pixels);
    }
    // Neighbours first, then neighbours of those: clusters come from the front and go to the back.
    let mut free: std::collections::VecDeque<(usize, f64)> =
        energies.iter().copied().enumerate().collect();
    let mut merges = Vec::new();
    while free.len() > parts {
        let ((a, low), (b, high)) = (free.pop_front().unwrap(), free.pop_front().unwrap());
        let barrier = low.max(high) + 3.0 + 2.5 * wave(11 * merges.len()).abs();
        free.push_back((count + merges.len(), barrier));
        merges.push(Merge {
            clusters: [a, b],
            barrier,
        });
    }
    let figure = disconnectivity_figure(&Disconnectivity {
        title: "basins of a ConvNet energy".to_owned(),
        basins: &basins,
        merges: &merges,
        state_shape: Some([channels, side, side]),
    })
    .unwrap();
    let svg = figure.to_svg();
    assert_eq!(svg.matches("<image").count(), count);
    assert_eq!(svg.matches("<circle").count(), count);
    assert_eq!(svg.contains("dashed: no connection found"), parts > 1);
    let parted = format!("in {parts} parts without a connection");
    assert_eq!(figure.description().contains(&parted), parts > 1);
    // Pictures stand beside each other, each below the circle of its own basin.
    let centres = attributes(&svg, "circle", "cx");
    let lefts = attributes(&svg, "image", "x");
    let widths = attributes(&svg, "image", "width");
    let (low_ends, tops) = (
        attributes(&svg, "circle", "cy"),
        attributes(&svg, "image", "y"),
    );
    let mut edges: Vec<(i32, i32)> = Vec::new();
    for basin in 0..count {
        assert!((lefts[basin] + widths[basin] / 2 - centres[basin]).abs() <= 1);
        assert!(tops[basin] > low_ends[basin]);
        edges.push((lefts[basin], lefts[basin] + widths[basin]));
    }
    edges.sort_unstable();
    assert!(edges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    figure.to_png().unwrap();
    keep(&figure, name);
}

#[test]
fn images_hang_below_their_basins() {
    image_figure(12, 1, 28, 1, "disconnectivity-images");
    image_figure(12, 1, 16, 3, "disconnectivity-forest");
    image_figure(30, 3, 32, 1, "disconnectivity-thirty");
}

#[test]
fn small_and_extreme_graphs_are_drawn() {
    let draw = |energies: &[f64], list: &[(usize, usize, f64)], name: &str| {
        let basins = basins(energies, &vec![3; energies.len()]);
        let figure = disconnectivity_figure(&Disconnectivity {
            title: String::new(),
            basins: &basins,
            merges: &merges(list),
            state_shape: None,
        })
        .unwrap();
        figure.to_png().unwrap();
        keep(&figure, name);
        figure
    };
    let alone = draw(&[3.0], &[], "disconnectivity-one");
    assert_eq!(
        alone.description(),
        "Disconnectivity graph of 1 basin with 3 members, minima of U at 3 nats."
    );
    draw(&[1.0, 2.0], &[(1, 0, 5.0)], "disconnectivity-two");
    draw(&[0.0, 0.0, 0.0], &[(0, 1, 0.0)], "disconnectivity-flat");
    draw(&[-1e100, 0.0], &[(0, 1, 1e100)], "disconnectivity-huge");
    draw(&[1e8, 1e8 + 1e-3], &[], "disconnectivity-close");
    draw(&[0.0; 100], &[], "disconnectivity-hundred");
}

#[test]
fn what_cannot_be_drawn_is_refused_by_name() {
    let refused = |basins: &[Basin<'_>], shape: Option<[usize; 3]>| {
        disconnectivity_figure(&Disconnectivity {
            title: String::new(),
            basins,
            merges: &[],
            state_shape: shape,
        })
        .unwrap_err()
    };
    let plain = basins(&[1.0, 2.0], &[5, 6]);
    let with = |pixels: &'static [f32]| {
        let mut basins = plain.clone();
        basins[1].pixels = Some(pixels);
        basins
    };
    for (basins, shape, reason) in [
        (
            basins(&[1.0, 2.0], &[5, 0]),
            None,
            "members is 0 for basin 1",
        ),
        (basins(&[1.0, -1e101], &[5, 6]), None, "-1e101 for basin 1"),
        (basins(&[0.0; 101], &[1; 101]), None, "is 101"),
        (
            with(&[0.0; 4]),
            None,
            "state_shape is not given, and basin 1 has pixels",
        ),
        (
            with(&[0.0; 4]),
            Some([1, 2, 3]),
            "4 values for basin 1 and the shape [1, 2, 3]",
        ),
        (with(&[0.0; 4]), Some([usize::MAX, 2, 3]), "for basin 1"),
        (with(&[0.0; 4]), Some([2, 2, 1]), "channels is 2"),
        (with(&[]), Some([1, 0, 3]), "height is 0"),
    ] {
        let error = refused(&basins, shape);
        assert!(matches!(error, FiguresError::Values(_)));
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(matches!(
        refused(&[], None),
        FiguresError::Values(DiagnosticsError::SeriesTooShort { .. })
    ));
    assert!(matches!(
        refused(&basins(&[1.0, f64::NEG_INFINITY], &[1, 1]), None),
        FiguresError::Values(DiagnosticsError::NotFinite { index: 1, .. })
    ));
    let error = disconnectivity_figure(&Disconnectivity {
        title: String::new(),
        basins: &plain,
        merges: &merges(&[(0, 1, 1.5)]),
        state_shape: None,
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "merge 0 (the first is 0) has its barrier at 1.5 nats, below 2 nats of basin 1, which it joins; a barrier is \
         the highest energy on a path that leads through both, so let it be at least that"
    );
}
