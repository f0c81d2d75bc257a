//! The encoder of openh264, as much of its C++ interface as is needed.
//!
//! The safe wrapper of the crate `openh264` is passed by: it leaves the range of quantisers at its
//! lower end of 0, where rate control goes astray (8 Mb/s asked for, 16.7 given), and copies each
//! picture once more.

#![allow(unsafe_code)]

use super::{Config, EncodeError, I420};
use lattice_engine::video::Content;
use openh264_sys2::source::APILoader as Api;
use openh264_sys2::*;
use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, from_mut, null_mut};

/// openh264 returns 0 for success.
const SUCCESS: c_int = 0;
/// H.264 Table E-2: "unspecified" is 5; what matters is the colour description behind it.
const UNSPECIFIED_FORMAT: u8 = VF_UNDEF as u8;
/// Smooths the edges of blocks, those between slices too.
const LOOP_FILTER_ON: c_int = 0;

/// An encoder that was initialised.
///
/// INVARIANT: `raw` came from `WelsCreateSVCEncoder` and is destroyed once, in `drop`. It is neither
/// `Send` nor `Sync`: one thread makes it, uses it and drops it.
pub(super) struct Handle {
    raw: NonNull<ISVCEncoder>,
    info: Box<SFrameBSInfo>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) fn new(config: &Config) -> Result<Self, EncodeError> {
        let mut raw: *mut ISVCEncoder = null_mut();
        // SAFETY: the function writes one pointer to where it is told to.
        let made = unsafe { Api::WelsCreateSVCEncoder(&mut raw) };
        let raw = NonNull::new(raw).filter(|_| made == SUCCESS);
        let raw = raw.ok_or(EncodeError { step: "make", code: made })?;
        let mut handle = Self { raw, info: Box::default() };
        handle.set(ENCODER_OPTION_TRACE_LEVEL, &mut (WELS_LOG_QUIET as c_int))?;
        handle.initialize(config)?;
        Ok(handle)
    }

    fn table(&self) -> &ISVCEncoderVtbl {
        // SAFETY: an ISVCEncoder is a pointer to its table of functions, which is static.
        unsafe { &**self.raw.as_ptr() }
    }

    fn initialize(&mut self, config: &Config) -> Result<(), EncodeError> {
        let mut params = SEncParamExt::default();
        let table = self.table();
        let (defaults, initialize) = (table.GetDefaultParams, table.InitializeExt);
        let (Some(defaults), Some(initialize)) = (defaults, initialize) else {
            return Err(EncodeError { step: "find the functions of", code: 0 });
        };
        // SAFETY: `raw` is a live encoder and `params` a whole structure of the type it wants.
        check("read the defaults of", unsafe { defaults(self.raw.as_ptr(), &mut params) })?;
        describe(&mut params, config);
        // SAFETY: as above; the encoder copies what it needs of `params`.
        check("initialise", unsafe { initialize(self.raw.as_ptr(), &params) })
    }

    pub(super) fn set_bitrate(&mut self, bits_per_second: i32) -> Result<(), EncodeError> {
        let mut bitrate = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bits_per_second };
        self.set(ENCODER_OPTION_BITRATE, &mut bitrate)
    }

    pub(super) fn set_frame_rate(&mut self, mut per_second: f32) -> Result<(), EncodeError> {
        self.set(ENCODER_OPTION_FRAME_RATE, &mut per_second)
    }

    /// `value` must be of the type that openh264 documents for `option`.
    fn set<T>(&mut self, option: ENCODER_OPTION, value: &mut T) -> Result<(), EncodeError> {
        let Some(set) = self.table().SetOption else {
            return Err(EncodeError { step: "find the functions of", code: 0 });
        };
        // SAFETY: `raw` is live; each caller passes the option's type, which is only read from.
        let done = unsafe { set(self.raw.as_ptr(), option, from_mut(value).cast::<c_void>()) };
        check("configure", done)
    }

    /// Encodes a picture and appends the access unit to `out`; whether it is a keyframe.
    pub(super) fn encode(
        &mut self,
        picture: &mut I420,
        time_ms: i64,
        keyframe: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        let (encode, force) = (self.table().EncodeFrame, self.table().ForceIntraFrame);
        let (Some(encode), Some(force)) = (encode, force) else {
            return Err(EncodeError { step: "find the functions of", code: 0 });
        };
        if keyframe {
            // SAFETY: `raw` is live.
            check("ask a keyframe of", unsafe { force(self.raw.as_ptr(), true) })?;
        }
        let source = source_of(picture, time_ms);
        // SAFETY: the planes of `source` are `picture`'s, of the size and strides it states, and
        // borrowed until after the call; the encoder only reads them, and writes to `info`.
        let done = unsafe { encode(self.raw.as_ptr(), &source, &mut *self.info) };
        check("encode with", done)?;
        let start = out.len();
        let layers = usize::try_from(self.info.iLayerNum).unwrap_or(0);
        for layer in self.info.sLayerInfo.iter().take(layers) {
            // SAFETY: after a successful call a layer has `iNalCount` lengths at
            // `pNalLengthInByte`, and that many bytes in all at `pBsBuf`, in the encoder's own
            // memory, which stays as it is until the next call.
            unsafe {
                let count = usize::try_from(layer.iNalCount).unwrap_or(0);
                let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, count);
                let len: usize = lengths.iter().map(|&len| usize::try_from(len).unwrap_or(0)).sum();
                out.extend_from_slice(std::slice::from_raw_parts(layer.pBsBuf, len));
            }
        }
        match out.len() > start {
            true => Ok(self.info.eFrameType == videoFrameTypeIDR),
            false => Err(EncodeError { step: "get a picture from", code: self.info.eFrameType }),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(uninitialize) = self.table().Uninitialize {
            // SAFETY: `raw` is live, and nothing uses it after this function.
            unsafe { uninitialize(self.raw.as_ptr()) };
        }
        // SAFETY: as above; it was made by the function that belongs to this one.
        unsafe { Api::WelsDestroySVCEncoder(self.raw.as_ptr()) };
    }
}

fn check(step: &'static str, code: c_int) -> Result<(), EncodeError> {
    if code == SUCCESS { Ok(()) } else { Err(EncodeError { step, code }) }
}

/// One layer, no B-frames, keyframes only when asked for, and none of the analyses that
/// cost time and help films more than desktops.
fn describe(params: &mut SEncParamExt, config: &Config) {
    let (width, height) = (c_int::from(config.source.width), c_int::from(config.source.height));
    params.iUsageType = match config.content {
        Content::Pictures => CAMERA_VIDEO_REAL_TIME,
        Content::Text => SCREEN_CONTENT_REAL_TIME,
    };
    (params.iPicWidth, params.iPicHeight) = (width, height);
    params.iRCMode = RC_BITRATE_MODE;
    (params.iTargetBitrate, params.iMaxBitrate) = (config.bitrate, UNSPECIFIED_BIT_RATE as c_int);
    params.fMaxFrameRate = config.frame_rate;
    (params.iTemporalLayerNum, params.iSpatialLayerNum) = (1, 1);
    params.iComplexityMode = LOW_COMPLEXITY;
    params.uiIntraPeriod = 0;
    params.iNumRefFrame = 1;
    params.eSpsPpsIdStrategy = CONSTANT_ID;
    params.iEntropyCodingModeFlag = 0;
    params.bEnableFrameSkip = false;
    (params.iMinQp, params.iMaxQp) = config.quantisers;
    params.iMultipleThreadIdc = config.threads;
    params.iLoopFilterDisableIdc = LOOP_FILTER_ON;
    params.bEnableDenoise = false;
    params.bEnableBackgroundDetection = false;
    params.bEnableAdaptiveQuant = false;
    params.bEnableSceneChangeDetect = false;
    params.bEnableFrameCroppingFlag = true;
    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = c_int::from(config.coded.width);
    layer.iVideoHeight = c_int::from(config.coded.height);
    layer.fFrameRate = config.frame_rate;
    layer.iSpatialBitrate = config.bitrate;
    layer.iMaxSpatialBitrate = UNSPECIFIED_BIT_RATE as c_int;
    layer.uiProfileIdc = PRO_BASELINE;
    layer.iDLayerQp = config.quantisers.0;
    // One thread a slice, and no slice without a thread.
    layer.sSliceArgument.uiSliceMode = match config.threads {
        0 | 1 => SM_SINGLE_SLICE,
        _ => SM_FIXEDSLCNUM_SLICE,
    };
    layer.sSliceArgument.uiSliceNum = config.threads.into();
    // BT.709 in limited range, and said so: a browser would guess by the size.
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = UNSPECIFIED_FORMAT;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = CP_BT709 as u8;
    layer.uiTransferCharacteristics = TRC_BT709 as u8;
    layer.uiColorMatrix = CM_BT709 as u8;
}

fn source_of(picture: &mut I420, time_ms: i64) -> SSourcePicture {
    let width = c_int::from(picture.size.width);
    SSourcePicture {
        iColorFormat: videoFormatI420,
        iStride: [width, width / 2, width / 2, 0],
        pData: [picture.y.as_mut_ptr(), picture.u.as_mut_ptr(), picture.v.as_mut_ptr(), null_mut()],
        iPicWidth: width,
        iPicHeight: c_int::from(picture.size.height),
        uiTimeStamp: time_ms,
        ..SSourcePicture::default()
    }
}
