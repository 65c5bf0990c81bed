"""A CUDA device that fails while a model uses it."""

import ctypes

KERNEL = b"""
.version 7.0
.target sm_50
.address_size 64
.visible .entry stray() {
    .reg .u64 %address;
    .reg .u32 %value;
    mov.u64 %address, 16;
    mov.u32 %value, 1;
    st.global.u32 [%address], %value;
    ret;
}
\0"""


def lose() -> None:
    """A kernel writes to an address that nobody has: from then on the driver refuses this process everything."""
    cuda = ctypes.CDLL("libcuda.so.1")
    context, module, kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    said = [
        cuda.cuInit(0),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0),
        cuda.cuCtxSetCurrent(context),
        cuda.cuModuleLoadData(ctypes.byref(module), KERNEL),
        cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"stray"),
        cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, None, None),
    ]
    assert not any(said), said
    assert cuda.cuCtxSynchronize() == 700, "an illegal address"
