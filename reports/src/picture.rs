//! Pictures as files: the name says in which form.

use std::io;
use std::path::{Path, PathBuf};

use longhaul_plots::{Drawing, PRINT, PlotError};
use thiserror::Error;

/// A form of pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `.svg`
    Svg,
    /// `.png`
    Png,
}

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum PictureError {
    /// A name that does not say how.
    #[error("{0}: plots are written as SVG or PNG; give the file a name that ends in .svg or .png")]
    Form(PathBuf),
    /// It cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// It cannot be written.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Form {
    /// That of a file, by its name.
    ///
    /// # Errors
    /// If the name ends in neither.
    pub fn of(path: &Path) -> Result<Form, PictureError> {
        let ends = |end: &str| {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case(end))
        };
        if ends("svg") {
            return Ok(Form::Svg);
        }
        if ends("png") {
            return Ok(Form::Png);
        }
        Err(PictureError::Form(path.to_owned()))
    }
}

/// Writes a picture in the form that the file's name says.
///
/// # Errors
/// If the name says none, the picture is too large, or the system refuses.
pub fn write(path: &Path, drawing: &Drawing) -> Result<(), PictureError> {
    let bytes = match Form::of(path)? {
        Form::Svg => drawing.svg().into_bytes(),
        Form::Png => drawing.png(PRINT)?,
    };
    std::fs::write(path, bytes).map_err(|error| PictureError::Unwritable {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::validation::plot;

    /// Width and height that the head of a PNG says.
    fn size(png: &[u8]) -> (u32, u32) {
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[test]
    fn the_name_says_the_form_and_equal_data_give_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let drawing = plot(&fixture::validation()).unwrap();
        let written = |name: &str| {
            let path = folder.path().join(name);
            write(&path, &drawing).unwrap();
            std::fs::read(path).unwrap()
        };
        let png = written("a.png");
        let (width, height) = drawing.size();
        assert_eq!(size(&png), ((width * PRINT) as u32, (height * PRINT) as u32));
        assert_eq!(png, written("b.PNG"));
        assert_eq!(written("a.svg"), drawing.svg().into_bytes());
        for name in ["a.jpg", "a", "png"] {
            let error = write(&folder.path().join(name), &drawing).unwrap_err();
            assert!(error.to_string().contains("ends in .svg or .png"), "{error}");
        }
    }
}
