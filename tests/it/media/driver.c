/*
 * Stands for NVIDIA's driver, so that the real elements of GStreamer's plugin nvcodec register and run where there is no
 * GPU: they negotiate, open a session and tell this driver what to do. It encodes nothing: of each picture it makes the
 * same access unit, which a test gives it. One file for libcuda.so.1, libnvidia-encode.so.1, libnvcuvid.so.1 and
 * libnvrtc.so; offsets are those of version 12.0 of NVENC's interface, which GStreamer 1.26 asks for.
 *
 *   FAKE_NVENC_UNIT    a file with the access unit, parameter sets first
 *   FAKE_NVENC_LOG     a file that gets a line for each encoder and each picture
 *   FAKE_NVENC_OPEN    the status with which sessions are refused once the plugin has registered its elements
 *   FAKE_NVENC_INIT    the status with which encoders are refused
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U32(base, at) (*(uint32_t *)((char *)(base) + (at)))
#define U64(base, at) (*(uint64_t *)((char *)(base) + (at)))
#define PTR(base, at) (*(void **)((char *)(base) + (at)))

static int something; /* what handles point to */

/* ---- CUDA */

#define DONE(name) int name(void) { return 0; }
DONE(cuInit) DONE(cuCtxDestroy_v2) DONE(cuCtxSynchronize) DONE(cuCtxPushCurrent_v2) DONE(cuCtxEnablePeerAccess)
DONE(cuCtxDisablePeerAccess) DONE(cuCtxGetLimit) DONE(cuCtxSetLimit) DONE(cuGraphicsMapResources)
DONE(cuGraphicsUnmapResources) DONE(cuGraphicsResourceSetMapFlags_v2) DONE(cuGraphicsSubResourceGetMappedArray)
DONE(cuGraphicsResourceGetMappedPointer_v2) DONE(cuGraphicsUnregisterResource) DONE(cuGraphicsGLRegisterImage)
DONE(cuGraphicsGLRegisterBuffer) DONE(cuGLGetDevices_v2) DONE(cuMemcpy2D_v2) DONE(cuMemcpy2DAsync_v2)
DONE(cuMemcpyDtoD_v2) DONE(cuMemcpyDtoDAsync_v2) DONE(cuMemcpyDtoH_v2) DONE(cuMemcpyDtoHAsync_v2) DONE(cuMemcpyHtoD_v2)
DONE(cuMemcpyHtoDAsync_v2) DONE(cuMemsetD2D8_v2) DONE(cuMemsetD2D8Async) DONE(cuMemsetD2D16_v2) DONE(cuMemsetD2D16Async)
DONE(cuMemsetD2D32_v2) DONE(cuMemsetD2D32Async) DONE(cuStreamDestroy_v2) DONE(cuStreamSynchronize)
DONE(cuDeviceCanAccessPeer) DONE(cuModuleUnload) DONE(cuTexObjectDestroy) DONE(cuLaunchKernel) DONE(cuEventDestroy_v2)
DONE(cuEventRecord) DONE(cuEventSynchronize) DONE(cuIpcGetEventHandle) DONE(cuIpcOpenEventHandle) DONE(cuIpcGetMemHandle)
DONE(cuIpcOpenMemHandle) DONE(cuIpcCloseMemHandle)

#define GIVES(name) int name(void **handle) { *handle = &something; return 0; }
GIVES(cuCtxCreate_v2) GIVES(cuStreamCreate) GIVES(cuEventCreate) GIVES(cuModuleLoadData) GIVES(cuModuleGetFunction)
GIVES(cuTexObjectCreate)

int cuCtxPopCurrent_v2(void **context) { if (context) *context = &something; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGetName(char *name, int size) { snprintf(name, size, "no GPU at all"); return 0; }
int cuDeviceGetAttribute(int *value, int which) { *value = which == 75 ? 8 : which == 76 ? 6 : 256; return 0; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuGetErrorName(int error, const char **name) { *name = error == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = error == 100 ? "no CUDA-capable device" : "?"; return 0; }

int cuMemAlloc_v2(void **memory, size_t size) { return (*memory = calloc(1, size)) ? 0 : 2; }
int cuMemAllocHost_v2(void **memory, size_t size) { return cuMemAlloc_v2(memory, size); }
int cuMemAllocPitch_v2(void **memory, size_t *pitch, size_t width, size_t height) {
    *pitch = (width + 255) / 256 * 256;
    return cuMemAlloc_v2(memory, *pitch * height);
}
int cuMemFree_v2(void *memory) { free(memory); return 0; }
int cuMemFreeHost(void *memory) { free(memory); return 0; }

/* ---- NVRTC: compiles everything to nothing */

DONE(nvrtcCompileProgram) DONE(nvrtcDestroyProgram) DONE(nvrtcGetPTX) DONE(nvrtcGetProgramLog) DONE(nvrtcGetCUBIN)
GIVES(nvrtcCreateProgram)
int nvrtcVersion(int *major, int *minor) { *major = 12, *minor = 4; return 0; }
int nvrtcGetPTXSize(void *program, size_t *size) { (void)program; *size = 1; return 0; }
int nvrtcGetCUBINSize(void *program, size_t *size) { (void)program; *size = 1; return 0; }
int nvrtcGetProgramLogSize(void *program, size_t *size) { (void)program; *size = 0; return 0; }

/* ---- NVDEC: no codec */

DONE(cuvidCtxLockCreate) DONE(cuvidCtxLockDestroy) DONE(cuvidCtxLock) DONE(cuvidCtxUnlock) DONE(cuvidCreateDecoder)
DONE(cuvidDestroyDecoder) DONE(cuvidDecodePicture) DONE(cuvidCreateVideoParser) DONE(cuvidParseVideoData)
DONE(cuvidDestroyVideoParser) DONE(cuvidMapVideoFrame64) DONE(cuvidUnmapVideoFrame64) DONE(cuvidMapVideoFrame)
DONE(cuvidUnmapVideoFrame) DONE(cuvidGetDecoderCaps)

/* ---- NVENC */

typedef struct { uint32_t a; uint16_t b, c; uint8_t d[8]; } Guid;
enum { SUCCESS = 0, UNIMPLEMENTED = 22 };
#define H264 0x6bc82762

static const struct { uint32_t start; const char *name; } guids[] = {
    {H264, "h264"}, {0x790cdc88, "h265"}, {0x0a352289, "av1"}, {0xfc0a8d3e, "p1"}, {0xf581cfb8, "p2"}, {0x36850110, "p3"},
    {0x90a7b826, "p4"}, {0x21c6e6b4, "p5"}, {0x8e75c279, "p6"}, {0x84848c12, "p7"}, {0xbfd6f8e7, "auto"},
    {0xe7cbc309, "high"}, {0x60b5c1d4, "main"}, {0xb514c39a, "main"}, {0xfa4d2b6c, "main-10"},
};

static const char *name(uint32_t start) {
    for (size_t i = 0; i < sizeof guids / sizeof *guids; i++)
        if (guids[i].start == start) return guids[i].name;
    return "?";
}

static char unit[1 << 20];
static size_t unit_size;
static uint32_t codec;
static uint64_t times[64];
static int submitted, taken;

static void say(const char *format, ...) {
    const char *path = getenv("FAKE_NVENC_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    __builtin_va_list values;
    __builtin_va_start(values, format);
    vfprintf(log, format, values);
    __builtin_va_end(values);
    fclose(log);
}

static int asked(const char *variable) { return getenv(variable) ? atoi(getenv(variable)) : SUCCESS; }

static int unknown(void) { return UNIMPLEMENTED; }
static int done(void) { return SUCCESS; }
static const char *last_error(void) { return "the test wants it"; }

static int opened; /* sessions: the plugin opens one for each of three codecs when it is loaded */
static int open_session(void *params, void **session) {
    (void)params;
    *session = &something;
    return ++opened > 3 ? asked("FAKE_NVENC_OPEN") : SUCCESS;
}

static int profiles(void *session, Guid codec_guid, Guid *list, uint32_t size, uint32_t *count) {
    static const Guid h264[] = {
        {0x727bcaa, 0x78c4, 0x4c83, {0x8c, 0x2f, 0xef, 0x3d, 0xff, 0x26, 0x7c, 0x6a}},
        {0x60b5c1d4, 0x67fe, 0x4790, {0x94, 0xd5, 0xc4, 0x72, 0x6d, 0x7b, 0x6e, 0x6d}},
        {0xe7cbc309, 0x4f7a, 0x4b89, {0xaf, 0x2a, 0xd5, 0x37, 0xc9, 0x2b, 0xe3, 0x10}},
    };
    static const Guid others[] = {
        {0xb514c39a, 0xb55b, 0x40fa, {0x87, 0x8f, 0xf1, 0x25, 0x3b, 0x4d, 0xfd, 0xec}},
        {0xfa4d2b6c, 0x3a5b, 0x411a, {0x80, 0x18, 0x0a, 0x3f, 0x5e, 0x3c, 0x9b, 0xe5}},
        {0x5f2a39f5, 0xf14e, 0x4f95, {0x9a, 0x9e, 0xb7, 0x6d, 0x56, 0x8f, 0xcf, 0x97}},
    };
    (void)session, (void)size;
    memcpy(list, codec_guid.a == H264 ? h264 : others, sizeof h264);
    *count = 3;
    return SUCCESS;
}

static int formats(void *session, Guid codec_guid, uint32_t *list, uint32_t size, uint32_t *count) {
    (void)session, (void)codec_guid, (void)size;
    list[0] = 0x1;     /* NV12 */
    list[1] = 0x10000; /* 10 bits */
    *count = 2;
    return SUCCESS;
}

static int capability(void *session, Guid codec_guid, void *param, int *value) {
    (void)session, (void)codec_guid;
    switch (U32(param, 4)) {
    case 0: *value = 4; break;                  /* B-frames */
    case 16: case 17: *value = 4096; break;     /* the largest picture */
    case 45: case 46: *value = 32; break;       /* the smallest */
    case 30: *value = 0; break;                 /* no events on Linux */
    default: *value = 1;
    }
    return SUCCESS;
}

static int preset_config(void *session, Guid codec_guid, Guid preset, int tuning, void *config) {
    (void)session, (void)codec_guid, (void)preset, (void)tuning;
    U32(config, 8 + 40 + 20) = 3000000; /* presets have a rate of their own */
    return SUCCESS;
}

static int initialize(void *session, void *params) {
    (void)session;
    void *config = PTR(params, 88), *rate = (char *)config + 40, *own = (char *)config + 168;
    codec = U32(params, 4);
    int is_h264 = codec == H264;
    uint32_t flags = U32(own, is_h264 ? 0 : 16);
    say("encoder codec=%s size=%ux%u fps=%u/%u preset=%s tune=%u profile=%s rc=%u qp=%u,%u,%u average=%u max=%u vbv=%u "
        "quality=%u passes=%u aq=%u gop=%u idr=%u interval=%u repeat=%u aud=%u\n",
        name(codec), U32(params, 36), U32(params, 40), U32(params, 52), U32(params, 56), name(U32(params, 20)),
        U32(params, 136), name(U32(config, 4)), U32(rate, 4), U32(rate, 16), U32(rate, 8), U32(rate, 12), U32(rate, 20),
        U32(rate, 24), U32(rate, 28), U32(rate, 88) & 0xff, U32(rate, 100), U32(rate, 36) >> 3 & 1, U32(config, 20),
        U32(own, is_h264 ? 8 : 20), U32(config, 24), flags >> (is_h264 ? 12 : 7) & 1, flags >> (is_h264 ? 6 : 4) & 1);
    return asked("FAKE_NVENC_INIT");
}

static int sequence(void *session, void *payload) {
    (void)session;
    const char *path = getenv("FAKE_NVENC_UNIT");
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) return UNIMPLEMENTED;
    unit_size = fread(unit, 1, sizeof unit, file);
    fclose(file);
    uint32_t size = U32(payload, 4) < unit_size ? U32(payload, 4) : unit_size;
    memcpy(PTR(payload, 16), unit, size);
    *(uint32_t *)PTR(payload, 24) = size;
    return SUCCESS;
}

/* A buffer for a picture from main memory: its pitch, and room for each sample to have two bytes. */
static int input_buffer(void *session, void *params) {
    (void)session;
    size_t pitch = (U32(params, 4) * 2 + 255) / 256 * 256;
    uint32_t *buffer = calloc(1, 16 + pitch * U32(params, 8) * 2);
    *buffer = pitch;
    PTR(params, 24) = buffer;
    return SUCCESS;
}

static int lock_input(void *session, void *params) {
    (void)session;
    uint32_t *buffer = PTR(params, 8);
    PTR(params, 16) = (char *)buffer + 16;
    U32(params, 24) = *buffer;
    return SUCCESS;
}

static int bitstream_buffer(void *session, void *params) { (void)session; PTR(params, 16) = malloc(1); return SUCCESS; }
static int destroy_buffer(void *session, void *buffer) { (void)session; free(buffer); return SUCCESS; }
static int register_resource(void *session, void *params) { (void)session; PTR(params, 32) = &something; return SUCCESS; }
static int map_resource(void *session, void *params) { (void)session; PTR(params, 24) = &something; return SUCCESS; }

static int encode(void *session, void *params) {
    (void)session;
    int is_end = U32(params, 16) & 8;
    if (is_end) return SUCCESS;
    times[submitted++ % 64] = U64(params, 24);
    say("picture flags=%u sei=%u\n", U32(params, 16), U32(params, 80 + (codec == H264 ? 36 : 56)));
    return SUCCESS;
}

static int lock_bitstream(void *session, void *params) {
    (void)session;
    U64(params, 40) = times[taken++ % 64];
    U32(params, 36) = unit_size;
    PTR(params, 56) = unit;
    U32(params, 64) = 3; /* IDR */
    return SUCCESS;
}

int NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) { *version = 12 << 4 | 2; return SUCCESS; }

int NvEncodeAPICreateInstance(void *list) {
    void **call = (void **)((char *)list + 8);
    for (int i = 0; i < 42; i++) call[i] = (void *)(i == 34 ? NULL : (void *)done);
    call[0] = (void *)unknown;
    call[3] = (void *)profiles;
    call[6] = (void *)formats;
    call[7] = (void *)capability;
    call[11] = (void *)initialize;
    call[12] = (void *)input_buffer;
    call[13] = (void *)destroy_buffer;
    call[14] = (void *)bitstream_buffer;
    call[15] = (void *)destroy_buffer;
    call[16] = (void *)encode;
    call[17] = (void *)lock_bitstream;
    call[19] = (void *)lock_input;
    call[22] = (void *)sequence;
    call[25] = (void *)map_resource;
    call[29] = (void *)open_session;
    call[30] = (void *)register_resource;
    call[37] = (void *)last_error;
    call[39] = (void *)preset_config;
    return SUCCESS;
}
