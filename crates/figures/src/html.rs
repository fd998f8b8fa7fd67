//! Escaped text and tables as HTML.

use std::fmt::Write;

/// A table of a [`Report`](crate::Report).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// What the numbers are, with their units.
    pub caption: String,
    /// Column names.
    pub header: Vec<String>,
    /// Rows of cells. A cell that starts like a number is aligned to the right.
    pub rows: Vec<Vec<String>>,
}

/// Appends a table as HTML.
pub(crate) fn append_table(page: &mut String, table: &Table) {
    append(
        page,
        format_args!(
            "<div class=\"wide\"><table>\n<caption>{}</caption>\n",
            escape(&table.caption)
        ),
    );
    // A column heading follows the alignment of the cells below it.
    let is_number = |column: usize| {
        let mut cells = table
            .rows
            .iter()
            .filter_map(|row| row.get(column))
            .peekable();
        cells.peek().is_some() && cells.all(|cell| looks_like_number(cell))
    };
    let class = |right: bool| if right { " class=\"number\"" } else { "" };
    if !table.header.is_empty() {
        page.push_str("<thead><tr>");
        for (column, cell) in table.header.iter().enumerate() {
            append(
                page,
                format_args!(
                    "<th scope=\"col\"{}>{}</th>",
                    class(is_number(column)),
                    escape(cell)
                ),
            );
        }
        page.push_str("</tr></thead>\n");
    }
    page.push_str("<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            append(
                page,
                format_args!(
                    "<td{}>{}</td>",
                    class(looks_like_number(cell)),
                    escape(cell)
                ),
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

fn looks_like_number(cell: &str) -> bool {
    cell.trim_start_matches(['-', '−', '+', '±'])
        .starts_with(|c: char| c.is_ascii_digit())
}

/// Appends formatted text.
pub(crate) fn append(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}

/// Escapes text for HTML content and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
