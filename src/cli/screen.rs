//! A picture on a terminal that is drawn again in its place.

use std::io::{self, Write};

/// Columns and rows where the terminal does not tell.
const SIZE: (usize, usize) = (80, 24);

/// Where the last picture stands.
#[derive(Debug, Default)]
pub struct Screen {
    /// Its lines, and the size of the terminal that it was drawn on.
    drawn: usize,
    size: (usize, usize),
}

impl Screen {
    /// Draws a text in place of the last one, cut to the terminal.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub fn draw(&mut self, out: &mut impl Write, text: &str) -> io::Result<()> {
        let frame = self.frame(text, size().unwrap_or(SIZE));
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// What is written for a text on a terminal of so many columns and rows.
    fn frame(&mut self, text: &str, size: (usize, usize)) -> String {
        let (columns, rows) = size;
        let mut frame = String::new();
        if self.drawn > 0 {
            frame.push_str(&match self.size == size {
                true => format!("\x1b[{}A\r", self.drawn),
                // Other lines have been broken: the picture stands no longer where it did.
                false => "\x1b[2J\x1b[H".to_owned(),
            });
        }
        self.drawn = 0;
        // The cursor rests on the line below.
        for line in text.lines().take(rows.saturating_sub(1)) {
            frame.push_str(&cut(line, columns));
            frame.push_str("\x1b[K\n");
            self.drawn += 1;
        }
        frame.push_str("\x1b[J");
        self.size = size;
        frame
    }
}

/// A line that takes so many columns at most, without anything that moves the cursor.
fn cut(line: &str, columns: usize) -> String {
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = plain.clone().take(columns).collect();
    if plain.clone().nth(columns).is_some() {
        text.pop();
        text.push('…');
    }
    text
}

/// Columns and rows of the terminal that is standard output.
fn size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills in the structure that it is given.
    let told = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) } == 0;
    (told && size.ws_col > 0 && size.ws_row > 0)
        .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_replaces_the_last_and_never_wraps() {
        let mut screen = Screen::default();
        let mut draw = |text: &str, size| screen.frame(text, size).replace('\x1b', "ESC");
        assert_eq!(draw("one\ntwo", (10, 5)), "oneESC[K\ntwoESC[K\nESC[J");
        // Longer lines and more of them than fit.
        assert_eq!(
            draw("exactly10!\nmore than ten\nred \x1b[31m\n4\n5\n6", (10, 5)),
            "ESC[2A\rexactly10!ESC[K\nmore than…ESC[K\nred  [31mESC[K\n4ESC[K\nESC[J"
        );
        assert_eq!(draw("new size", (20, 5)), "ESC[2JESC[Hnew sizeESC[K\nESC[J");
        assert_eq!(draw("", (20, 5)), "ESC[1A\rESC[J");
    }
}
