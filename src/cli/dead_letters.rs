//! `dead-letters`: what lies in the dead-letter topic, as a table for people or as JSON for scripts. Letters hold text of
//! strangers: in the table, control characters become spaces.

use actors::domain::dead_letter::DeadLetter;
use actors::ports::Letters;
use chrono::SecondsFormat;
use clap::Args;
use serde_json::{Value, json};

use super::submit::refuse_embedded;
use super::{Context, Exit, Trouble};

/// Letters that are shown where nothing else is said.
const DEFAULT_LIMIT: usize = 100;

/// What stands above the columns. The last one takes the rest of the line.
const TITLES: [&str; 6] = ["ID", "WHEN", "JOB", "CLASS", "ATTEMPTS", "REASON"];
/// Between two columns.
const GAP: &str = "  ";
/// In place of what is not known.
const UNKNOWN: &str = "-";
/// Columns of the reason on a terminal that is too narrow for it.
const MIN_REASON: usize = 20;

#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    /// Show the newest N
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
}

pub(super) async fn dead_letters(args: DeadLettersArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let config = context.config()?;
    refuse_embedded(&config)?;
    let Letters { letters, left_out } = context.wiring.dead_letters(&config)?.newest(args.limit).await?;
    if context.json {
        letters.iter().for_each(|letter| context.say(&as_json(letter).to_string()));
    } else if !letters.is_empty() {
        table(&letters, context.streams.width()).iter().for_each(|line| context.say(line));
    }
    match (letters.is_empty(), left_out) {
        (true, 0) => context.note("there are no dead letters"),
        (_, 0) => {}
        (_, older) => context.note(&format!("{older} older ones are not shown, see --limit")),
    }
    Ok(Exit::Done)
}

fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "timestamp": letter.at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        "key": letter.key,
        "job_id": letter.job_id,
        "class": letter.class,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "origin": letter.origin,
        "requeueable": letter.job.is_ok(),
        "not_requeueable_because": letter.job.as_ref().err(),
    })
}

/// The lines of the table; reasons are cut where a line would be longer than `width`.
fn table(letters: &[DeadLetter], width: Option<usize>) -> Vec<String> {
    let rows: Vec<[String; 6]> = std::iter::once(TITLES.map(str::to_owned)).chain(letters.iter().map(row)).collect();
    let widths: Vec<usize> =
        (0..TITLES.len()).map(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0)).collect();
    let before: usize = widths[..TITLES.len() - 1].iter().map(|width| width + GAP.len()).sum();
    let room = width.map(|width| width.saturating_sub(before).max(MIN_REASON));
    rows.iter().map(|row| line(row, &widths, room)).collect()
}

fn row(letter: &DeadLetter) -> [String; 6] {
    let plain = |text: Option<&str>| text.map_or_else(|| UNKNOWN.into(), printable);
    [
        letter.id.to_string(),
        letter.at.map_or_else(|| UNKNOWN.into(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        plain(letter.job_id.as_ref().map(|job_id| job_id.as_str())),
        plain(letter.class.as_deref()),
        letter.attempts.map_or_else(|| UNKNOWN.into(), |attempts| attempts.to_string()),
        plain(letter.reason.as_deref()),
    ]
}

fn line(row: &[String; 6], widths: &[usize], room: Option<usize>) -> String {
    let [columns @ .., reason] = row;
    let padded = columns.iter().zip(widths).map(|(text, width)| format!("{text:width$}{GAP}"));
    let mut line: String = padded.collect();
    match room {
        Some(room) if length(reason) > room => {
            line.extend(reason.chars().take(room - 1));
            line.push('…');
        }
        _ => line.push_str(reason),
    }
    line
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::dead_letter::{LetterId, LetterRecord};

    fn letter(offset: i64, headers: &[(&str, &str)], value: &[u8]) -> DeadLetter {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        DeadLetter::read(&LetterRecord {
            id: LetterId { partition: 0, offset },
            at: chrono::DateTime::from_timestamp(1_700_000_000, 0),
            key: b"key".to_vec(),
            value: Some(value.to_vec()),
            headers,
        })
    }

    fn letters() -> Vec<DeadLetter> {
        let long = format!("no video track\n\u{1b}[31m{}", "x".repeat(200));
        let headers = [("class", "permanent"), ("attempts", "3"), ("reason", &long)];
        vec![letter(9, &headers, br#"{"job_id": "movie-42"}"#), letter(10, &[], b"garbage")]
    }

    #[test]
    fn the_table_has_a_line_for_each_letter_and_cuts_reasons_to_the_terminal() {
        let lines = table(&letters(), Some(100));
        let begins = [
            "ID    WHEN                  JOB       CLASS      ATTEMPTS  REASON",
            "0-9   2023-11-14T22:13:20Z  movie-42  permanent  3         no video track  [31mxx",
            "0-10  2023-11-14T22:13:20Z  -         -          -         -",
        ];
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
        assert!(lines[1].chars().count() == 100 && lines[1].ends_with("x…"), "{}", lines[1]);
    }

    #[test]
    fn without_a_terminal_nothing_is_cut_and_a_narrow_one_still_shows_the_beginning() {
        let whole = table(&letters(), None);
        assert!(whole[1].chars().count() > 250 && !whole[1].contains('…'), "{}", whole[1]);
        let narrow = table(&letters(), Some(10));
        assert!(narrow[1].contains("no video track"), "{}", narrow[1]);
        assert!(whole.iter().chain(&narrow).all(|line| line.chars().all(|one| !one.is_control())));
    }

    #[test]
    fn json_has_everything_and_says_why_a_letter_cannot_be_sent_back() {
        let headers = [
            ("class", "permanent"),
            ("attempts", "3"),
            ("reason", "no\nvideo"),
            ("origin-topic", "jobs"),
            ("origin-partition", "5"),
            ("origin-offset", "77"),
        ];
        let found = as_json(&letter(9, &headers, br#"{"job_id": "movie-42"}"#));
        let expected = json!({"topic": "jobs", "partition": 5, "offset": 77});
        assert_eq!((&found["id"], &found["origin"], &found["attempts"]), (&"0-9".into(), &expected, &3.into()));
        assert_eq!((&found["job_id"], &found["reason"]), (&"movie-42".into(), &"no\nvideo".into()));
        assert_eq!((&found["timestamp"], &found["requeueable"]), (&"2023-11-14T22:13:20.000Z".into(), &false.into()));
        assert!(found["not_requeueable_because"].as_str().is_some_and(|why| why.contains("correct it")), "{found}");
    }
}
