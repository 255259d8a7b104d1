//! GStreamer's version and the elements that the pipelines are made of, with the Debian package of each.

use actors::domain::job::VideoCodec;
use gst::prelude::StaticType as _;
use gstreamer as gst;

use super::Finding;
use crate::media::encoder;

/// What everything is tested on: that of Debian 13.
const PLATFORM: (u32, u32) = (1, 26);
/// What is tried where nothing newer can be had.
const OLDEST: (u32, u32) = (1, 22);

/// A plugin without elements.
const PBTYPES: &str = "pbtypes";

/// Elements of one package, and what is lost without them.
struct Package<'a> {
    name: &'a str,
    elements: &'a [&'a str],
    purpose: &'a str,
    needed: bool,
}

const PACKAGES: &[Package<'_>] = &[
    Package {
        name: "libgstreamer1.0-0",
        elements: &["filesrc", "filesink", "queue", "typefind"],
        purpose: "reading files",
        needed: true,
    },
    Package {
        name: "gstreamer1.0-plugins-base",
        elements: &["appsrc", "appsink", "videoconvert", "videoscale", "audioconvert", "audioresample", "parsebin"],
        purpose: "scaling and converting",
        needed: true,
    },
    // No element: the plugin of a type that stands in the caps of some decoders. Without it their parts cannot be read back.
    Package {
        name: "gstreamer1.0-plugins-base",
        elements: &[PBTYPES],
        purpose: "inputs with VP8, VP9 or AV1",
        needed: true,
    },
    Package {
        name: "gstreamer1.0-plugins-good",
        elements: &["qtdemux", "deinterlace", "videoflip"],
        purpose: "MP4 outputs, which are read back; interlaced and turned pictures",
        needed: true,
    },
    Package {
        name: "gstreamer1.0-plugins-bad",
        elements: &["h264parse", "h265parse", "tsdemux", "mpegtsmux", "gdppay", "gdpdepay"],
        purpose: "H.264, H.265 and MPEG-TS, chunk sources",
        needed: true,
    },
    Package {
        name: "gstreamer1.0-libav",
        elements: &["avdec_h264", "avdec_h265", "avdec_aac", "avenc_aac"],
        purpose: "decoding H.264 and H.265, AAC",
        needed: true,
    },
    Package {
        name: "gstreamer1.0-libav",
        elements: &["avdec_ac3", "avdec_eac3", "avdec_mpeg2video"],
        purpose: "inputs with Dolby Digital or MPEG-2",
        needed: false,
    },
];

/// Blocks while the plugins are looked at.
pub(super) fn check() -> Vec<Finding> {
    if let Err(error) = gst::init() {
        return vec![Finding::fail("gstreamer", format!("does not start: {error}"), "install libgstreamer1.0-0")];
    }
    let found = judge_version(gst::version());
    let registry = gst::Registry::get();
    let has = |name: &str| match name {
        PBTYPES => registry.find_plugin(name).is_some(),
        element => registry.find_feature(element, gst::ElementFactory::static_type()).is_some(),
    };
    let packages = PACKAGES.iter().map(|package| package.judge(&has));
    std::iter::once(found).chain(packages).chain(VideoCodec::all().map(|codec| of_encoder(codec, &has))).collect()
}

/// The encoder of a codec that every worker should have. Only the default codec cannot be done without.
fn of_encoder(codec: VideoCodec, has: &dyn Fn(&str) -> bool) -> Finding {
    let family = encoder::of(codec.cpu_family());
    let name = codec.cpu_family().as_str();
    let elements = [family.encoder(codec, 8).unwrap_or(name)];
    let purpose = format!("encoding {}", codec.as_str());
    let needed = codec == VideoCodec::H264;
    Package { name: family.package, elements: &elements, purpose: &purpose, needed }.judge(has)
}

fn judge_version((major, minor, micro, _): (u32, u32, u32, u32)) -> Finding {
    let version = format!("GStreamer {major}.{minor}.{micro}");
    let at = (major, minor);
    if at >= PLATFORM {
        return Finding::ok("gstreamer", version);
    }
    let advice = "use the image, Debian 13 or Ubuntu 26.04, which have 1.26 or newer";
    if at < OLDEST {
        return Finding::fail("gstreamer", format!("{version} is too old"), advice);
    }
    let wrong = "stereo in AAC collapses, PCM sound of QuickTime films is lost, mirrored films come out turned, NVENC is \
                 refused by drivers from 550 on";
    Finding::warn("gstreamer", format!("{version} is older than 1.26: {wrong}"), advice)
}

impl Package<'_> {
    fn judge(&self, has: &dyn Fn(&str) -> bool) -> Finding {
        let Self { name, elements, purpose, needed } = self;
        let missing: Vec<_> = elements.iter().copied().filter(|element| !has(element)).collect();
        if missing.is_empty() {
            return Finding::ok("elements", format!("{} ({purpose})", elements.join(" ")));
        }
        let (detail, advice) = (format!("{} missing ({purpose})", missing.join(" ")), format!("install {name}"));
        if *needed { Finding::fail("elements", detail, advice) } else { Finding::warn("elements", detail, advice) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_gstreamer_that_is_too_old_fails_and_an_older_one_says_what_it_does_wrong() {
        let verdict = |major, minor| judge_version((major, minor, 0, 0)).verdict;
        assert_eq!([verdict(1, 20), verdict(1, 22), verdict(1, 24)], [Verdict::Fail, Verdict::Warn, Verdict::Warn]);
        assert_eq!([verdict(1, 26), verdict(1, 28), verdict(2, 0)], [Verdict::Ok; 3]);
        assert!(judge_version((1, 22, 0, 0)).detail.contains("stereo"));
    }

    #[test]
    fn a_missing_element_names_its_package() {
        let finding = of_encoder(VideoCodec::H264, &|_| false);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(finding.advice.as_deref(), Some("install gstreamer1.0-plugins-ugly"));
        assert!(finding.detail.starts_with("x264enc missing"), "{}", finding.detail);
    }

    #[test]
    fn what_only_some_inputs_need_is_a_warning() {
        let finding = PACKAGES.iter().find(|package| !package.needed).expect("one").judge(&|_| false);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert_eq!(of_encoder(VideoCodec::H265, &|_| false).verdict, Verdict::Warn);
    }
}
