//! Tables that fit a width: columns that do not fit go to a further block, each block with the names again.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, TableComponent};

use crate::human::MISSING;

/// Which way a column leans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table whose column [`Table::name_column`] is repeated in every block.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Heading and alignment of each column.
    pub columns: Vec<(&'static str, Align)>,
    /// The column that identifies a row; it and those before it stay together in the first block.
    pub name_column: usize,
    /// One text per column each.
    pub rows: Vec<Vec<String>>,
}

/// Widest that a column counts when blocks are formed; a longer text wraps inside its cell.
const WIDEST_COLUMN: usize = 30;
/// Blanks around a cell.
const PADDING: usize = 2;

impl Table {
    /// Drops the columns after the name in which no row has a value.
    pub fn drop_empty_columns(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        for column in (self.name_column + 1..self.columns.len()).rev() {
            if self.rows.iter().all(|row| row[column] == MISSING) {
                self.columns.remove(column);
                for row in &mut self.rows {
                    row.remove(column);
                }
            }
        }
    }

    /// The lines of the table, none longer than `width`, without trailing blanks. An empty line separates
    /// blocks.
    pub fn render(&self, width: u16) -> Vec<String> {
        let mut lines = Vec::new();
        for block in self.blocks(usize::from(width)) {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let table = self.block(&block, width);
            lines.extend(table.trim_fmt().lines().map(str::to_owned));
        }
        lines
    }

    /// The columns of each block.
    fn blocks(&self, width: usize) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let natural = self.block(&all, u16::MAX).column_max_content_widths();
        let needed = |column: usize| usize::from(natural[column]).min(WIDEST_COLUMN) + PADDING;
        let mut block: Vec<usize> = all[..=self.name_column].to_vec();
        let mut used: usize = block.iter().map(|&column| needed(column)).sum();
        let mut blocks = Vec::new();
        for column in self.name_column + 1..self.columns.len() {
            let fresh = block.last() == Some(&self.name_column);
            if used + needed(column) > width && !fresh {
                blocks.push(std::mem::replace(&mut block, vec![self.name_column]));
                used = needed(self.name_column);
            }
            block.push(column);
            used += needed(column);
        }
        blocks.push(block);
        blocks
    }

    fn block(&self, columns: &[usize], width: u16) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(NOTHING)
            .force_no_tty()
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
        // Rules only under the heading, and no column for vertical lines.
        table.remove_style(TableComponent::VerticalLines);
        table.set_style(TableComponent::HeaderLines, '─');
        table.set_header(
            columns
                .iter()
                .map(|&column| self.cell(column, self.columns[column].0)),
        );
        for row in &self.rows {
            table.add_row(columns.iter().map(|&column| self.cell(column, &row[column])));
        }
        table
    }

    fn cell(&self, column: usize, text: &str) -> Cell {
        Cell::new(text).set_alignment(match self.columns[column].1 {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            columns: vec![
                ("state", Align::Left),
                ("name", Align::Left),
                ("first", Align::Right),
                ("second", Align::Right),
            ],
            name_column: 1,
            rows: vec![
                vec!["done".into(), "m1".into(), "1.00 s".into(), "22.0 MB".into()],
                vec![
                    "failed".into(),
                    "a-name-of-some-length".into(),
                    "–".into(),
                    "–".into(),
                ],
            ],
        }
    }

    #[test]
    fn a_wide_table_is_one_block_and_a_narrow_one_repeats_the_names() {
        let wide = table().render(80);
        assert_eq!(wide.len(), 4, "{wide:#?}");
        let narrow = table().render(42);
        assert_eq!(
            narrow
                .iter()
                .filter(|line| line.contains("a-name-of-some-length"))
                .count(),
            2
        );
        assert_eq!(narrow.iter().filter(|line| line.contains("failed")).count(), 1);
    }

    #[test]
    fn a_column_without_a_value_is_dropped() {
        let mut table = table();
        table.drop_empty_columns();
        assert_eq!(table.columns.len(), 4);
        table.rows[0][2] = MISSING.into();
        table.drop_empty_columns();
        let heads: Vec<&str> = table.columns.iter().map(|column| column.0).collect();
        assert_eq!(heads, ["state", "name", "second"]);
        assert_eq!(table.rows[0], ["done", "m1", "22.0 MB"]);
    }

    #[test]
    fn no_line_is_longer_than_the_width_and_no_value_is_lost() {
        let mut table = table();
        table.rows[0][1] = "x".repeat(200);
        for width in 40..100_u16 {
            let lines = table.render(width);
            for line in &lines {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line:?}");
                assert_eq!(line.trim_end(), line);
            }
            let text = lines.concat();
            assert!(text.contains("22.0 MB") && text.contains("1.00 s"), "{text}");
            assert!(text.matches('x').count() >= 200);
        }
    }
}
