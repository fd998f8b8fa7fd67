//! Tables of text.

/// Columns as wide as their widest cell. Those of `left` are aligned left; the others hold numbers and are aligned
/// right.
#[must_use]
pub fn aligned(rows: &[Vec<String>], left: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line += "  ";
            }
            line += &if left.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_line_up() {
        let rows = [["net", "batch", "engine"], ["a", "1", "b"]]
            .map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            aligned(&rows, &[0, 2]),
            "net  batch  engine\na        1  b\n"
        );
    }
}
