// In place of NCCL: messages between the emulated devices of several processes on one machine, by
// sockets (nccl.cpp). Only calls that do not wait (config.blocking = 0), and those that are used.
#pragma once

#include <cuda_runtime.h>

#include <climits>

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7,
};
enum ncclDataType_t {
  ncclInt8 = 0,
  ncclUint8 = 1,
  ncclInt32 = 2,
  ncclInt64 = 4,
  ncclFloat32 = 7,
  ncclFloat64 = 8
};

struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  int blocking = INT_MIN;
};
#define NCCL_CONFIG_INITIALIZER \
  {}

namespace emulator {
class NcclRanks;
}
using ncclComm_t = emulator::NcclRanks*;

ncclResult_t ncclGetVersion(int* version);
const char* ncclGetErrorString(ncclResult_t result);

ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
// Under way until ncclCommGetAsyncError() says otherwise. Each process on a device of its own.
ncclResult_t ncclCommInitRankConfig(ncclComm_t* ranks, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t ranks, ncclResult_t* state);
ncclResult_t ncclCommAbort(ncclComm_t ranks);

// A call outside of a group is a group of its own. All calls of a group are done at once, on one
// stream; the group is done when each of them is, which for a send takes its receive.
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t ranks, cudaStream_t stream);
ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t ranks,
                      cudaStream_t stream);
