//! Colours, which never say anything that words or shapes do not say too.

use std::env;

use ratatui::style::{Color, Modifier, Style};

use super::told::Severity;
use super::words::Sight;

/// Colours, or none where nobody wants any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    is_coloured: bool,
}

impl Palette {
    /// As <https://no-color.org> has it: any value but nothing.
    pub(super) fn of_environment() -> Self {
        Self { is_coloured: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    #[cfg(test)]
    pub(super) fn new(is_coloured: bool) -> Self {
        Self { is_coloured }
    }

    fn colour(self, colour: Color) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.colour(Color::LightMagenta).add_modifier(Modifier::BOLD),
            Severity::High => self.colour(Color::LightRed).add_modifier(Modifier::BOLD),
            Severity::Medium => self.colour(Color::Yellow),
            Severity::Low => self.colour(Color::Cyan),
            Severity::Info | Severity::Unknown => Style::new(),
        }
    }

    pub(super) fn sight(self, sight: Sight) -> Style {
        let colour = match sight {
            Sight::Whole => Color::Green,
            Sight::Partial => Color::Yellow,
            Sight::None => Color::LightRed,
            Sight::Over => Color::Cyan,
        };
        self.colour(colour).add_modifier(Modifier::BOLD)
    }

    /// What is wrong.
    pub(super) fn bad(self) -> Style {
        self.colour(Color::LightRed).add_modifier(Modifier::BOLD)
    }

    /// Bars of rates and loads.
    pub(super) fn bar(self) -> Style {
        self.colour(Color::Blue)
    }

    /// What names something.
    pub(super) fn label(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The row that the keys are at.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
