// The mixed cell on a CPU: what leaves one node, for all its edges at once, forward and backward.
//
// Maps are (B, C, H, W), dense. A convolution here is ReLU, depthwise (any side, stride, dilation, padded to keep the
// map), pointwise, BatchNorm without scale; the k edges that leave a node have one each. Only the raw result of the
// pointwise convolution and its statistics are stored: ReLU, norm and depthwise are computed again where they are
// needed, one image at a time, which stays in the cache. Compiled once for float and once for double (REAL).
//
// A function returns 0, or 1 where there was not enough memory (its results are then undefined).
//
// Every sum over images is made of one part a thread, added in the order of the threads: the same number of threads
// gives the same bits.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num() { return 0; }
#endif

namespace {

using real = REAL;
#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int LANES = BYTES / sizeof(real);
constexpr int SLACK = 16 * LANES;  // vectors may read so far beyond the end of a scratch map
typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

inline vec load(const real* p) { return *reinterpret_cast<const vec*>(p); }
inline void store(real* p, vec v) { *reinterpret_cast<vec*>(p) = v; }

template <int... I>
inline vec filled(real value, std::integer_sequence<int, I...>) { return vec{((void)I, value)...}; }
inline vec filled(real value) { return filled(value, std::make_integer_sequence<int, LANES>{}); }

template <int... I>
inline vec neighbours_added(vec a, vec b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...) + __builtin_shufflevector(a, b, (2 * I + 1)...);
}

// Lane i of the result is the sum of the lanes of v[i]; v holds LANES vectors and is used up.
inline vec sums(vec* v) {
  for (int n = LANES; n > 1; n /= 2)
    for (int i = 0; i < n / 2; i++)
      v[i] = neighbours_added(v[2 * i], v[2 * i + 1], std::make_integer_sequence<int, LANES>{});
  return v[0];
}

// Memory of one thread that lives on from call to call, 64-byte aligned pieces of it handed out one after another.
struct Scratch {
  std::vector<real> memory;
  size_t used = 0;
  bool begin(size_t size) noexcept {  // false where there is not so much memory
    used = 0;
    try {
      if (memory.size() < size + 64) memory.assign(size + 64, 0);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  real* take(size_t size, bool zero = false) {
    size_t address = reinterpret_cast<size_t>(memory.data() + used);
    real* piece = memory.data() + used + (64 - address % 64) % 64 / sizeof(real);
    used += size + 64 / sizeof(real);
    if (zero) std::memset(piece, 0, size * sizeof(real));
    return piece;
  }
};
thread_local Scratch scratch;

// How a depthwise convolution walks over a padded map. With stride s the padded map is kept as s * s maps, one a phase
// of rows and columns, so that a tap of the kernel is the same step in memory for every pixel, whatever the stride.
struct Walk {
  int batch, channels, height, width, side, stride, dilation, edges, threads;  // as given
  int pad, out_height, out_width, pixels, taps, pitch, phase, plane, blocks, dense;
  bool direct;  // rows are whole vectors: results come out without gaps
  std::vector<int> offsets, spots;

  explicit Walk(const long* shape) {
    int* const fields[] = {&batch, &channels, &height, &width, &side, &stride, &dilation, &edges, &threads};
    for (int i = 0; i < 9; i++) *fields[i] = int(shape[i]);
    pad = dilation * (side - 1) / 2;
    out_height = (height - 1) / stride + 1;
    out_width = (width - 1) / stride + 1;
    pixels = out_height * out_width;
    taps = side * side;
    // at stride 1 the padding right of a row is the padding left of the next one
    pitch = stride == 1 ? width + pad : (width + 2 * pad + stride - 1) / stride;
    phase = pitch * ((height + 2 * pad + stride - 1) / stride) + pad;
    plane = stride * stride * phase + SLACK;
    direct = out_width % LANES == 0;
    int run = direct ? pixels : (out_height - 1) * pitch + out_width;
    blocks = (run + LANES - 1) / LANES;
    dense = (pixels + LANES - 1) / LANES * LANES;
    for (int i = 0; i < side; i++)
      for (int j = 0; j < side; j++) {
        int row = i * dilation, column = j * dilation;
        offsets.push_back((row % stride * stride + column % stride) * phase + row / stride * pitch + column / stride);
      }
    for (int k = 0; k < blocks; k++)
      spots.push_back(direct ? k * LANES / out_width * pitch + k * LANES % out_width : k * LANES);
  }
  long in_pixels() const { return long(height) * width; }
  size_t flat() const { return size_t(blocks) * LANES + SLACK; }
  int place(int row, int column) const {  // of an input pixel in the padded map
    row += pad, column += pad;
    return (row % stride * stride + column % stride) * phase + row / stride * pitch + column / stride;
  }
};

// A dense map into the padded one, and back: to[place] = f(x), row by row and phase by phase. The padding stays as it is.
template <class F>
void spread(const Walk& walk, const real* x, real* padded, F f) {
  for (int row = 0; row < walk.height; row++, x += walk.width)
    for (int first = 0; first < walk.stride && first < walk.width; first++) {
      real* to = padded + walk.place(row, first);
      if (walk.stride == 1)
        for (int i = 0; i < walk.width; i++) to[i] = f(x[i]);
      else
        for (int i = first; i < walk.width; i += walk.stride) *to++ = f(x[i]);
    }
}

void gathered(const Walk& walk, const real* padded, real* x) {
  for (int row = 0; row < walk.height; row++, x += walk.width)
    for (int first = 0; first < walk.stride && first < walk.width; first++) {
      const real* from = padded + walk.place(row, first);
      if (walk.stride == 1)
        for (int i = 0; i < walk.width; i++) x[i] = from[i];
      else
        for (int i = first; i < walk.width; i += walk.stride) x[i] = *from++;
    }
}

// ReLU of (x - mean) * scale into the padded map; NaN stays NaN.
void rectified(const Walk& walk, const real* x, real mean, real scale, real* padded) {
  spread(walk, x, padded, [=](real value) {
    value = (value - mean) * scale;
    return value < 0 ? 0 : value;
  });
}

// ReLU; NaN stays NaN.
void rectify(const real* x, int count, real* to) {
  for (int i = 0; i < count; i++) to[i] = x[i] < 0 ? 0 : x[i];
}

// A result into a map of the walk's pitch, where every pixel of it lies `spots` apart.
void pitched(const Walk& walk, const real* x, real* to) {
  for (int row = 0; row < walk.out_height; row++, x += walk.out_width, to += walk.pitch)
    for (int i = 0; i < walk.out_width; i++) to[i] = x[i];
}

template <int TAPS, int N>
inline void walked(const real* from, const int* offsets, const int* spots, const real* kernel, int step, real* to) {
  vec total[N] = {};
  for (int t = 0; t < TAPS; t++) {
    const real* p = from + offsets[t];
    vec k = filled(kernel[t * step]);
    for (int n = 0; n < N; n++) total[n] += k * load(p + spots[n]);
  }
  for (int n = 0; n < N; n++) store(to + n * LANES, total[n]);
}

template <int TAPS>
void walk_map(const Walk& walk, const real* from, const real* kernel, int step, real* to) {
  int k = 0;
  for (; k + 8 <= walk.blocks; k += 8) walked<TAPS, 8>(from, walk.offsets.data(), &walk.spots[k], kernel, step, to + k * LANES);
  for (; k + 4 <= walk.blocks; k += 4) walked<TAPS, 4>(from, walk.offsets.data(), &walk.spots[k], kernel, step, to + k * LANES);
  switch (walk.blocks - k) {
    case 1: return walked<TAPS, 1>(from, walk.offsets.data(), &walk.spots[k], kernel, step, to + k * LANES);
    case 2: return walked<TAPS, 2>(from, walk.offsets.data(), &walk.spots[k], kernel, step, to + k * LANES);
    case 3: return walked<TAPS, 3>(from, walk.offsets.data(), &walk.spots[k], kernel, step, to + k * LANES);
  }
}

void compact(const Walk& walk, const real* flat, real* to) {
  for (int row = 0; row < walk.out_height; row++, flat += walk.pitch)
    for (int i = 0; i < walk.out_width; i++) *to++ = flat[i];
}

// A depthwise convolution of one padded channel into a dense map; step -1 takes the kernel, given at its last tap,
// backwards. flat: room for walk.flat() numbers.
void depthwise(const Walk& walk, const real* padded, const real* kernel, int step, real* flat, real* to) {
  real* result = walk.direct ? to : flat;
  switch (walk.side) {
    case 3: walk_map<9>(walk, padded, kernel, step, result); break;
    case 5: walk_map<25>(walk, padded, kernel, step, result); break;
    default: walk_map<49>(walk, padded, kernel, step, result);
  }
  if (!walk.direct) compact(walk, flat, to);
}

// Sum over pixels of gradient * padded map for COUNT taps: the gradient of the kernel, added to `to`.
template <int COUNT>
void taps_gradient(const Walk& walk, const real* padded, const real* gradient, const int* offsets, real* to) {
  constexpr int ROUNDED = (COUNT + LANES - 1) / LANES * LANES;
  vec total[ROUNDED] = {};
  const real* at[COUNT];
  for (int t = 0; t < COUNT; t++) at[t] = padded + offsets[t];
  for (int k = 0; k < walk.blocks; k++) {
    const long spot = walk.spots[k];
    vec g = load(gradient + spot);
    for (int t = 0; t < COUNT; t++) total[t] += g * load(at[t] + spot);
  }
  for (int t = 0; t < ROUNDED; t += LANES) {
    vec found = sums(total + t);
    for (int i = 0; i < LANES && t + i < COUNT; i++) to[t + i] += found[i];
  }
}

void depthwise_kernel_gradient(const Walk& walk, const real* padded, const real* gradient, real* to) {
  taps_gradient<9>(walk, padded, gradient, walk.offsets.data(), to);  // 9, 25, 49: all are 9 and some times 8
  for (int t = 9; t < walk.taps; t += 8) taps_gradient<8>(walk, padded, gradient, &walk.offsets[t], to + t);
}

// The gradient of a depthwise convolution's input (unpadded, dense), from the gradient of its result in a padded map
// of the walk's own pitch (stride 1: the same padded map as the input's; else only its interior).
void depthwise_input_gradient(const Walk& walk, const real* padded, const real* kernel, real* flat, real* phases, real* to) {
  if (walk.stride == 1) return depthwise(walk, padded, kernel + walk.taps - 1, -1, flat, to);
  std::memset(phases, 0, walk.plane * sizeof(real));
  for (int t = 0; t < walk.taps; t++)
    for (int k = 0; k < walk.blocks; k++) {
      real* p = phases + walk.offsets[t] + walk.spots[k];
      store(p, load(p) + kernel[t] * load(padded + walk.spots[k]));
    }
  gathered(walk, phases, to);
}

template <int ROWS, int N>
inline void product_block(const real* w, int row, int column, const real* from, int pitch, int inputs, real* to, long to_pitch, int left) {
  vec total[ROWS][N] = {};
  for (int c = 0; c < inputs; c++) {
    vec value[N];
    for (int n = 0; n < N; n++) value[n] = load(from + c * pitch + n * LANES);
    for (int r = 0; r < ROWS; r++) {
      vec k = filled(w[r * row + c * column]);
      for (int n = 0; n < N; n++) total[r][n] += k * value[n];
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int n = 0; n < N && n * LANES < left; n++) {
      if (left >= (n + 1) * LANES) store(to + r * to_pitch + n * LANES, total[r][n]);
      else std::memcpy(to + r * to_pitch + n * LANES, &total[r][n], (left - n * LANES) * sizeof(real));
    }
}

// A pointwise convolution: to[r] = sum over c of w[r * row + c * column] * from[c]. Maps: `pitch` numbers apart in
// from, readable up to the next whole vector; `to_pitch` in to, of which `pixels` are written.
void pointwise(const real* w, int row, int column, const real* from, int pitch, int inputs, int outputs, int pixels, real* to, long to_pitch) {
  constexpr int N = 3;
  for (int q = 0; q < pixels; q += N * LANES) {
    int r = 0, left = pixels - q;
    const real* at = from + q;
    if (left <= LANES) {
      for (; r + 4 <= outputs; r += 4) product_block<4, 1>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
      for (; r < outputs; r++) product_block<1, 1>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
    } else if (left <= 2 * LANES) {
      for (; r + 4 <= outputs; r += 4) product_block<4, 2>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
      for (; r < outputs; r++) product_block<1, 2>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
    } else {
      for (; r + 4 <= outputs; r += 4) product_block<4, N>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
      for (; r < outputs; r++) product_block<1, N>(w + r * row, row, column, at, pitch, inputs, to + r * to_pitch + q, to_pitch, left);
    }
  }
}

template <int ROWS, int COLUMNS>
inline void outer_block(const real* g, const real* x, int pitch, int vectors, real* to, int to_pitch) {
  constexpr int ROUNDED = (ROWS * COLUMNS + LANES - 1) / LANES * LANES;
  vec total[ROUNDED] = {};
  for (int k = 0; k < vectors; k++) {
    vec right[COLUMNS];
    for (int j = 0; j < COLUMNS; j++) right[j] = load(x + j * pitch + k * LANES);
    for (int i = 0; i < ROWS; i++) {
      vec left = load(g + i * pitch + k * LANES);
      for (int j = 0; j < COLUMNS; j++) total[i * COLUMNS + j] += left * right[j];
    }
  }
  for (int t = 0; t < ROUNDED; t += LANES) {
    vec found = sums(total + t);
    for (int i = 0; i < LANES && t + i < ROWS * COLUMNS; i++) to[(t + i) / COLUMNS * to_pitch + (t + i) % COLUMNS] += found[i];
  }
}

// The gradient of a pointwise kernel (outputs, inputs), added to `to`: sum over pixels of g[r] * x[c]. Dense maps whose
// last vector is filled up with zeros.
void pointwise_kernel_gradient(const real* g, const real* x, int pitch, int outputs, int inputs, real* to) {
  int vectors = pitch / LANES, r = 0;
  for (; r + 4 <= outputs; r += 4) {
    int c = 0;
    for (; c + 2 <= inputs; c += 2) outer_block<4, 2>(g + r * pitch, x + c * pitch, pitch, vectors, to + r * inputs + c, inputs);
    for (; c < inputs; c++) outer_block<4, 1>(g + r * pitch, x + c * pitch, pitch, vectors, to + r * inputs + c, inputs);
  }
  for (; r < outputs; r++)
    for (int c = 0; c < inputs; c++) outer_block<1, 1>(g + r * pitch, x + c * pitch, pitch, vectors, to + r * inputs + c, inputs);
}

// Mean and sum of squared deviations of one channel of one image.
struct Moments {
  double mean, squares;
};

Moments moments(const real* y, int pixels) {
  real total = 0, squares = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < pixels; i++) total += y[i];
  real mean = total / pixels;
#pragma omp simd reduction(+ : squares)
  for (int i = 0; i < pixels; i++) squares += (y[i] - mean) * (y[i] - mean);
  return {mean, squares};
}

// Mean and 1 / sqrt(variance + eps) over all images from those of each (Chan, Golub, LeVeque 1979), and the running
// statistics of `copies` norms that see the same map. found: (B, n), image by image.
void finish_norm(const Moments* found, int batch, int n, int pixels, double momentum, double eps, int copies,
                 real* const* running_mean, real* const* running_var, int index, real* mean, real* scale) {
  double middle = 0, squares = 0;
  for (int b = 0; b < batch; b++) middle += found[long(b) * n].mean;
  middle /= batch;
  for (int b = 0; b < batch; b++) {
    double away = found[long(b) * n].mean - middle;
    squares += found[long(b) * n].squares + pixels * away * away;
  }
  double count = double(batch) * pixels;
  *mean = real(middle), *scale = real(1 / std::sqrt(squares / count + eps));
  for (int i = 0; i < copies; i++) {
    running_mean[i][index] = real((1 - momentum) * running_mean[i][index] + momentum * middle);
    running_var[i][index] = real((1 - momentum) * running_var[i][index] + momentum * squares / (count - 1));
  }
}

// 1 / the number of pixels inside of each window of a 3x3 pool.
std::vector<real> shares_of(const Walk& walk) {
  auto inside = [&](int at, int size) { return std::min(at * walk.stride + 2, size) - std::max(at * walk.stride - 1, 0); };
  std::vector<real> shares(walk.pixels);
  for (int q = 0; q < walk.pixels; q++)
    shares[q] = real(1) / (inside(q / walk.out_width, walk.height) * inside(q % walk.out_width, walk.width));
  return shares;
}

// Both gradients of a row of a depthwise convolution, layout channels-last, for as many channels as V has lanes: of the
// pixel `out` of the gradient's row and the taps of one row of the kernel that lie inside. All rows begin at the lanes.
template <class V> inline V lanes(const real* p) { V v; std::memcpy(&v, p, sizeof(V)); return v; }
template <class V> inline void put_lanes(real* p, V v) { std::memcpy(p, &v, sizeof(V)); }

struct Row {
  const real *x, *g, *kernel;
  real *dx, *dkernel;
  int channels, width, out_width, stride;
};

template <int SIDE, class V>
void row_gradients(const Row& row) {
  constexpr int PAD = SIDE / 2;
  V weight[SIDE], found[SIDE];
  for (int j = 0; j < SIDE; j++) {
    weight[j] = lanes<V>(row.kernel + j * row.channels);
    found[j] = lanes<V>(row.dkernel + j * row.channels);
  }
  for (int out = 0; out < row.out_width; out++) {
    const int first = out * row.stride - PAD;
    const V g = lanes<V>(row.g + long(out) * row.channels);
    const real* x = row.x + long(first) * row.channels;
    real* dx = row.dx + long(first) * row.channels;
    const bool inside = first >= 0 && first + SIDE <= row.width;
    for (int j = 0; j < SIDE; j++) {
      if (!inside && (first + j < 0 || first + j >= row.width)) continue;
      found[j] += g * lanes<V>(x + j * row.channels);
      put_lanes<V>(dx + j * row.channels, lanes<V>(dx + j * row.channels) + g * weight[j]);
    }
  }
  for (int j = 0; j < SIDE; j++) put_lanes<V>(row.dkernel + j * row.channels, found[j]);
}

template <int SIDE>
void rows_gradients(Row row) {
  typedef real half __attribute__((vector_size(BYTES / 2), aligned(sizeof(real)), may_alias));
  const auto ahead = [&row](int n) { row.x += n, row.g += n, row.kernel += n, row.dx += n, row.dkernel += n; };
  int left = row.channels;
  for (; left >= LANES; left -= LANES) row_gradients<SIDE, vec>(row), ahead(LANES);
  for (; left >= LANES / 2; left -= LANES / 2) row_gradients<SIDE, half>(row), ahead(LANES / 2);
  for (; left > 0; left--) row_gradients<SIDE, real>(row), ahead(1);
}

void add_up(real* parts, int threads, long size, real* to) {  // one part a thread, in the order of the threads
  for (int t = 0; t < threads; t++)
    for (long i = 0; i < size; i++) to[i] += parts[t * size + i];
}

}  // namespace

extern "C" {

// y[e] = pointwise(depthwise(ReLU((x[e] - mean_in) * scale_in))) with its mean and scale, for every edge e.
// shape: see Walk. x_step: numbers from an edge's input to the next one's, 0 where all read one map. mean_in: null for
// a plain ReLU. y: (E, B, C, H', W'); mean, scale: (E, C); kernels: one pointer an edge.
int convolve(const long* shape, const real* x, long x_step, const real* mean_in, const real* scale_in,
              real* const* spatial, real* const* across, real* y, real* mean, real* scale, real* const* running_mean,
              real* const* running_var, double momentum, double eps) try {
  const Walk walk(shape);
  const int C = walk.channels, E = walk.edges;
  const long in_size = C * walk.in_pixels(), out_size = long(C) * walk.pixels;
  const size_t planes = x_step ? 1 : C;  // an input that all edges read is padded once for all of them
  std::vector<Moments> found(size_t(walk.batch) * E * C);
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(walk.threads)
  {
    if (!scratch.begin(planes * walk.plane + walk.flat() + size_t(C) * walk.dense + 4 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real* all = scratch.take(planes * walk.plane, true);
      real* flat = scratch.take(walk.flat());
      real* maps = scratch.take(size_t(C) * walk.dense + SLACK, true);
#pragma omp for schedule(static)
      for (int b = 0; b < walk.batch; b++)
        for (int e = 0; e < E; e++) {
          const real* from = x + e * x_step + b * in_size;
          real* to = y + (long(e) * walk.batch + b) * out_size;
          for (int c = 0; c < C; c++) {
            real* padded = all + (x_step ? 0 : c) * walk.plane;
            real middle = mean_in ? mean_in[e * C + c] : 0, factor = mean_in ? scale_in[e * C + c] : 1;
            if (x_step || e == 0) rectified(walk, from + c * walk.in_pixels(), middle, factor, padded);
            depthwise(walk, padded, spatial[e] + c * walk.taps, 1, flat, maps + size_t(c) * walk.dense);
          }
          pointwise(across[e], C, 1, maps, walk.dense, C, C, walk.pixels, to, walk.pixels);
          for (int c = 0; c < C; c++) found[(size_t(b) * E + e) * C + c] = moments(to + long(c) * walk.pixels, walk.pixels);
        }
    }
  }
  if (failed) throw std::bad_alloc();
  for (int e = 0; e < E; e++)
    for (int c = 0; c < C; c++)
      finish_norm(&found[size_t(e) * C + c], walk.batch, E * C, walk.pixels, momentum, eps, 1, running_mean + e,
                  running_var + e, c, mean + e * C + c, scale + e * C + c);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// The gradients of convolve. g[e]: gradient of weight[e] * norm(y[e]) (B, C, H', W'); g_mean, g_dot: (E, C), means of g and of
// g * norm(y) over all images. Adds to spatial_grad (E, C, taps) and across_grad (E, C, C) unless null.
// mean_in null: adds the input's gradient to dx (B, C, H, W). Else writes it, behind the ReLU, to dx (E, B, C, H, W), and its means
// and means of dx * normalised input to dx_mean, dx_dot (E, C).
int convolve_backward(const long* shape, const real* x, long x_step, const real* mean_in, const real* scale_in,
                       real* const* spatial, real* const* across, const real* y, const real* mean, const real* scale,
                       const real* const* g, const real* weight, const real* g_mean, const real* g_dot, real* dx,
                       real* dx_mean, real* dx_dot, real* spatial_grad, real* across_grad) try {
  const Walk walk(shape);
  const int C = walk.channels, E = walk.edges, T = walk.threads;
  const long in_pixels = walk.in_pixels(), in_size = C * in_pixels, out_size = long(C) * walk.pixels;
  const size_t maps_size = size_t(C) * walk.dense + SLACK, planes = x_step ? 1 : C;
  const long spatial_size = long(E) * C * walk.taps, across_size = long(E) * C * C;
  std::vector<real> spatial_parts(spatial_grad ? T * spatial_size : 0), across_parts(across_grad ? T * across_size : 0);
  std::vector<double> sums_in(mean_in ? size_t(walk.batch) * E * C * 2 : 0);
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(T)
  {
    if (!scratch.begin(3 * maps_size + (planes + 2) * walk.plane + walk.flat() + in_pixels + 12 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real *raw = scratch.take(maps_size, true), *behind = scratch.take(maps_size, true), *maps = scratch.take(maps_size, true);
      real *all = scratch.take(planes * walk.plane, true), *gradient = scratch.take(walk.plane, true);
      real *phases = scratch.take(walk.plane), *flat = scratch.take(walk.flat()), *dense = scratch.take(in_pixels + SLACK);
      real* own_spatial = spatial_grad ? spatial_parts.data() + omp_get_thread_num() * spatial_size : nullptr;
      real* own_across = across_grad ? across_parts.data() + omp_get_thread_num() * across_size : nullptr;
      const int start = walk.stride == 1 ? walk.place(0, 0) : 0;
#pragma omp for schedule(static)
      for (int b = 0; b < walk.batch; b++)
        for (int e = 0; e < E; e++) {
          const real *from = x + e * x_step + b * in_size, *result = y + (long(e) * walk.batch + b) * out_size;
          for (int c = 0; c < C; c++) {  // through the norm: weight * scale * (g - mean(g) - z * mean(g z)), z = norm(y)
            const real *gc = g[e] + b * out_size + long(c) * walk.pixels, *yc = result + long(c) * walk.pixels;
            const int i = e * C + c;
            const real factor = weight[e] * scale[i], first = g_mean[i], second = scale[i] * g_dot[i], middle = mean[i];
            real* to = raw + size_t(c) * walk.dense;
            for (int q = 0; q < walk.pixels; q++) to[q] = factor * (gc[q] - first - (yc[q] - middle) * second);
          }
          pointwise(across[e], 1, C, raw, walk.dense, C, C, walk.pixels, behind, walk.dense);
          for (int c = 0; c < C; c++) {
            const int i = e * C + c;
            const real middle = mean_in ? mean_in[i] : 0, factor = mean_in ? scale_in[i] : 1;
            const real* xc = from + c * in_pixels;
            const real* kernel = spatial[e] + c * walk.taps;
            const real* gc = behind + size_t(c) * walk.dense;
            pitched(walk, gc, gradient + start);
            if (own_spatial) {
              real* padded = all + (x_step ? 0 : c) * walk.plane;
              if (x_step || e == 0) rectified(walk, xc, middle, factor, padded);
              depthwise(walk, padded, kernel, 1, flat, maps + size_t(c) * walk.dense);
              depthwise_kernel_gradient(walk, padded, gradient + start, own_spatial + i * walk.taps);
            }
            if (!dx) continue;
            depthwise_input_gradient(walk, gradient, kernel, flat, phases, dense);
            if (!mean_in) {
              real* to = dx + b * in_size + c * in_pixels;
              for (long q = 0; q < in_pixels; q++) to[q] += xc[q] <= 0 ? 0 : dense[q];
            } else {
              real* to = dx + (long(e) * walk.batch + b) * in_size + c * in_pixels;
              real total = 0, dot = 0;
#pragma omp simd reduction(+ : total, dot)
              for (long q = 0; q < in_pixels; q++) {
                real z = (xc[q] - middle) * factor, value = z <= 0 ? 0 : dense[q];
                to[q] = value, total += value, dot += value * z;
              }
              double* sum = &sums_in[(size_t(b) * E * C + i) * 2];
              sum[0] = total, sum[1] = dot;
            }
          }
          if (own_across) pointwise_kernel_gradient(raw, maps, walk.dense, C, C, own_across + long(e) * C * C);
        }
    }
  }
  if (failed) throw std::bad_alloc();
  if (spatial_grad) add_up(spatial_parts.data(), T, spatial_size, spatial_grad);
  if (across_grad) add_up(across_parts.data(), T, across_size, across_grad);
  if (mean_in && dx)
    for (int i = 0; i < E * C; i++) {
      double total = 0, dot = 0;
      for (int b = 0; b < walk.batch; b++) total += sums_in[(size_t(b) * E * C + i) * 2], dot += sums_in[(size_t(b) * E * C + i) * 2 + 1];
      dx_mean[i] = real(total / (double(walk.batch) * in_pixels)), dx_dot[i] = real(dot / (double(walk.batch) * in_pixels));
    }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// out[e] = sum over t of weight[e][t] * (map[e][t] - mean) * scale: all operations of an edge, normalised, weighted, added.
// sizes: B, C, pixels, E, T, threads, then per term 1 if every edge has a map of its own, 0 if all share one.
// maps: T pointers to (E, B, C, pixels) or (B, C, pixels); means, scales: T pointers to (E, C) or (C), null for a map that
// is not normalised. out: E pointers.
int mix(const long* sizes, const real* const* maps, const real* const* means, const real* const* scales,
         const real* weights, real* const* out) try {
  const int B = int(sizes[0]), C = int(sizes[1]), E = int(sizes[3]), T = int(sizes[4]);
  const long pixels = sizes[2], *own = sizes + 6;
#pragma omp parallel for num_threads(int(sizes[5])) schedule(static)
  for (int b = 0; b < B; b++)
    for (int e = 0; e < E; e++)
      for (int c = 0; c < C; c++) {
        const long at = (long(b) * C + c) * pixels;
        real* to = out[e] + at;
        real shift = 0;
        for (int t = 0; t < T; t++)
          if (means[t]) shift -= weights[e * T + t] * means[t][own[t] * e * C + c] * scales[t][own[t] * e * C + c];
        for (long q = 0; q < pixels; q++) to[q] = shift;
        for (int t = 0; t < T; t++) {
          const real factor = weights[e * T + t] * (scales[t] ? scales[t][own[t] * e * C + c] : 1);
          const real* from = maps[t] + own[t] * e * B * C * pixels + at;
          for (long q = 0; q < pixels; q++) to[q] += factor * from[q];
        }
      }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// For the gradient of mix: g_mean (E, C), mean of g[e] over images and pixels; g_dot (T, E, C), mean of g[e] * normalised map.
int mix_dots(const long* sizes, const real* const* maps, const real* const* means, const real* const* scales,
              const real* const* g, real* g_mean, real* g_dot) try {
  const int B = int(sizes[0]), C = int(sizes[1]), E = int(sizes[3]), T = int(sizes[4]);
  const long pixels = sizes[2], width = long(E) * C * (T + 1), *own = sizes + 6;
  std::vector<double> found(B * width);
#pragma omp parallel for num_threads(int(sizes[5])) schedule(static)
  for (int b = 0; b < B; b++)
    for (int e = 0; e < E; e++)
      for (int c = 0; c < C; c++) {
        const long at = (long(b) * C + c) * pixels;
        double* to = &found[b * width + (long(e) * C + c) * (T + 1)];
        const real* gc = g[e] + at;
        real total = 0;
#pragma omp simd reduction(+ : total)
        for (long q = 0; q < pixels; q++) total += gc[q];
        to[T] = total;
        for (int t = 0; t < T; t++) {
          const real* from = maps[t] + own[t] * e * B * C * pixels + at;
          const real middle = means[t] ? means[t][own[t] * e * C + c] : 0;
          real dot = 0;
#pragma omp simd reduction(+ : dot)
          for (long q = 0; q < pixels; q++) dot += gc[q] * (from[q] - middle);
          to[t] = dot * (scales[t] ? scales[t][own[t] * e * C + c] : 1);
        }
      }
  const double count = double(B) * pixels;
  for (int e = 0; e < E; e++)
    for (int c = 0; c < C; c++)
      for (int t = 0; t <= T; t++) {
        double total = 0;
        for (int b = 0; b < B; b++) total += found[b * width + (long(e) * C + c) * (T + 1) + t];
        (t == T ? g_mean[e * C + c] : g_dot[(long(t) * E + e) * C + c]) = real(total / count);
      }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// 3x3 pooling, padded by one: the largest, or the mean of the pixels that are inside. shape as in Walk (side 3, dilation 1);
// edges: so many norms see the map. y: (B, C, H', W') with its mean and scale (C).
int pool(const long* shape, long largest, const real* x, real* y, real* mean, real* scale, real* const* running_mean,
          real* const* running_var, double momentum, double eps) try {
  const Walk walk(shape);
  const int C = walk.channels;
  const std::vector<real> shares = shares_of(walk);
  std::vector<Moments> found(size_t(walk.batch) * C);
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(walk.threads)
  {
    if (!scratch.begin(walk.plane + walk.flat() + walk.dense + 4 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real *padded = scratch.take(walk.plane), *flat = scratch.take(walk.flat()), *dense = scratch.take(walk.dense + SLACK);
      std::fill(padded, padded + walk.plane, largest ? -std::numeric_limits<real>::infinity() : 0);
#pragma omp for schedule(static)
      for (long i = 0; i < long(walk.batch) * C; i++) {
        spread(walk, x + i * walk.in_pixels(), padded, [](real value) { return value; });
        real* result = walk.direct ? dense : flat;
        for (int k = 0; k < walk.blocks; k++) {
          const real* from = padded + walk.spots[k];
          vec best = load(from + walk.offsets[0]), total = best;
          for (int t = 1; t < 9; t++) {
            vec value = load(from + walk.offsets[t]);
            best = value > best ? value : best, total += value;
          }
          store(result + k * LANES, !largest ? total : total == total ? best : total);  // NaN stays NaN
        }
        if (!walk.direct) compact(walk, flat, dense);
        real* to = y + i * walk.pixels;
        for (int q = 0; q < walk.pixels; q++) to[q] = largest ? dense[q] : dense[q] * shares[q];
        found[i] = moments(to, walk.pixels);
      }
    }
  }
  if (failed) throw std::bad_alloc();
  for (int c = 0; c < C; c++)
    finish_norm(&found[c], walk.batch, C, walk.pixels, momentum, eps, walk.edges, running_mean, running_var, c, mean + c, scale + c);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// Adds to dx (B, C, H, W) what comes back through the pool and its norm from all edges. g: E pointers; weight: (E), g_mean: (C),
// weighted sum of the edges' mean gradients; g_dot: (C), of their means of gradient * normalised map. Of equal pixels
// the first one, row by row, is the largest.
int pool_backward(const long* shape, long largest, const real* x, const real* y, const real* mean, const real* scale,
                   const real* const* g, const real* weight, const real* g_mean, const real* g_dot, real* dx) try {
  const Walk walk(shape);
  const int C = walk.channels;
  const std::vector<real> shares = shares_of(walk);
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(walk.threads)
  {
    if (!scratch.begin(3 * walk.plane + 2 * walk.dense + walk.in_pixels() + 8 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real *padded = scratch.take(walk.plane), *gradient = scratch.take(walk.plane, true), *phases = scratch.take(walk.plane);
      real *total = scratch.take(walk.dense + SLACK), *dense = scratch.take(walk.in_pixels() + SLACK);
      std::fill(padded, padded + walk.plane, -std::numeric_limits<real>::infinity());
#pragma omp for schedule(static)
      for (long i = 0; i < long(walk.batch) * C; i++) {
        const int channel = int(i % C);
        const real *from = x + i * walk.in_pixels(), *result = y + i * walk.pixels;
        const real first = g_mean[channel], second = scale[channel] * g_dot[channel], middle = mean[channel];
        for (int q = 0; q < walk.pixels; q++) total[q] = -first - (result[q] - middle) * second;
        for (int e = 0; e < walk.edges; e++) {
          const real *ge = g[e] + i * walk.pixels, factor = weight[e];
          for (int q = 0; q < walk.pixels; q++) total[q] += factor * ge[q];
        }
        for (int q = 0; q < walk.pixels; q++) total[q] *= largest ? scale[channel] : scale[channel] * shares[q];
        pitched(walk, total, gradient);
        if (largest) spread(walk, from, padded, [](real value) { return value; });
        std::memset(phases, 0, walk.plane * sizeof(real));
        for (int k = 0; k < walk.blocks; k++) {
          const long spot = walk.spots[k];
          vec best = load(padded + walk.offsets[0] + spot), value = load(gradient + spot), where = {};
          for (int t = 1; t < 9 && largest; t++) {
            vec other = load(padded + walk.offsets[t] + spot);
            where = other > best ? filled(t) : where, best = other > best ? other : best;
          }
          for (int t = 0; t < 9; t++) {
            real* p = phases + walk.offsets[t] + spot;
            store(p, load(p) + (largest ? (where == filled(t) ? value : vec{}) : value));
          }
        }
        gathered(walk, phases, dense);
        real* to = dx + i * walk.in_pixels();
        for (long q = 0; q < walk.in_pixels(); q++) to[q] += dense[q];
      }
    }
  }
  if (failed) throw std::bad_alloc();
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// dx += sum over edges of weight[e] * g[e]; all of `count` numbers.
int skip_backward(long count, long edges, const real* const* g, const real* weight, long threads, real* dx) try {
#pragma omp parallel for num_threads(int(threads)) schedule(static)
  for (long block = 0; block < (count + 4095) / 4096; block++)
    for (int e = 0; e < edges; e++)
      for (long q = block * 4096; q < std::min(count, block * 4096 + 4096); q++) dx[q] += weight[e] * g[e][q];
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// The gradients of a depthwise convolution that is padded to keep the map at stride 1; layout channels-last.
// sizes: B, C, H, W, side (5 or 7), stride, threads. x: (B, H, W, C); g: (B, H', W', C); kernel: (taps, C). Writes
// dx (B, H, W, C) and dkernel (taps, C).
int depthwise_backward(const long* sizes, const real* x, const real* g, const real* kernel, real* dx, real* dkernel) try {
  const int B = sizes[0], C = sizes[1], H = sizes[2], W = sizes[3], side = sizes[4], stride = sizes[5], threads = sizes[6];
  const int out_height = (H - 1) / stride + 1, out_width = (W - 1) / stride + 1;
  const long taps = long(side) * side * C, map = long(H) * W * C, out_map = long(out_height) * out_width * C;
  std::vector<real> parts(taps * threads);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int b = 0; b < B; b++) {
    std::memset(dx + b * map, 0, map * sizeof(real));
    for (int out = 0; out < out_height; out++)
      for (int i = 0; i < side; i++) {
        const int in = out * stride + i - side / 2;
        if (in < 0 || in >= H) continue;
        const long at = b * map + long(in) * W * C, tap = long(i) * side * C;
        const Row row{x + at, g + b * out_map + long(out) * out_width * C, kernel + tap,
                      dx + at, &parts[omp_get_thread_num() * taps + tap], C, W, out_width, stride};
        side == 5 ? rows_gradients<5>(row) : rows_gradients<7>(row);
      }
  }
  std::memset(dkernel, 0, taps * sizeof(real));
  add_up(parts.data(), threads, taps, dkernel);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// z = norm(pointwise(ReLU(x))) and the norm's scale (C'): what brings an input of the cell to the cell's width.
// sizes: B, C, C', pixels, threads. x: (B, C, pixels); kernel: (C', C); z: (B, C', pixels).
int enter(const long* sizes, const real* x, const real* kernel, real* z, real* mean, real* scale,
          real* const* running_mean, real* const* running_var, double momentum, double eps) try {
  const int B = int(sizes[0]), I = int(sizes[1]), O = int(sizes[2]), pixels = int(sizes[3]), threads = int(sizes[4]);
  const int dense = (pixels + LANES - 1) / LANES * LANES;
  std::vector<Moments> found(size_t(B) * O);
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(threads)
  {
    if (!scratch.begin(size_t(I) * dense + 2 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real* maps = scratch.take(size_t(I) * dense + SLACK, true);
#pragma omp for schedule(static)
      for (int b = 0; b < B; b++) {
        for (int c = 0; c < I; c++) rectify(x + (long(b) * I + c) * pixels, pixels, maps + size_t(c) * dense);
        real* to = z + long(b) * O * pixels;
        pointwise(kernel, I, 1, maps, dense, I, O, pixels, to, pixels);
        for (int c = 0; c < O; c++) found[size_t(b) * O + c] = moments(to + long(c) * pixels, pixels);
      }
    }
  }
  if (failed) throw std::bad_alloc();
  for (int c = 0; c < O; c++)
    finish_norm(&found[c], B, O, pixels, momentum, eps, 1, running_mean, running_var, c, mean + c, scale + c);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long i = 0; i < long(B) * O; i++) {
    const real middle = mean[i % O], factor = scale[i % O];
    for (long q = i * pixels; q < (i + 1) * pixels; q++) z[q] = (z[q] - middle) * factor;
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// The gradients of enter, from that of z: writes dx (B, C, pixels) and adds to kernel_grad (C', C), unless null.
int enter_backward(const long* sizes, const real* x, const real* kernel, const real* z, const real* scale, const real* g,
                   real* dx, real* kernel_grad) try {
  const int B = int(sizes[0]), I = int(sizes[1]), O = int(sizes[2]), pixels = int(sizes[3]), threads = int(sizes[4]);
  const int dense = (pixels + LANES - 1) / LANES * LANES;
  std::vector<double> means(size_t(B) * O * 2);
  std::vector<real> parts(kernel_grad ? size_t(threads) * O * I : 0), first(O), second(O);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long i = 0; i < long(B) * O; i++) {
    real total = 0, dot = 0;
#pragma omp simd reduction(+ : total, dot)
    for (long q = i * pixels; q < (i + 1) * pixels; q++) total += g[q], dot += g[q] * z[q];
    means[2 * i] = total, means[2 * i + 1] = dot;
  }
  for (int c = 0; c < O; c++) {
    double total = 0, dot = 0;
    for (int b = 0; b < B; b++) total += means[2 * (long(b) * O + c)], dot += means[2 * (long(b) * O + c) + 1];
    first[c] = real(total / (double(B) * pixels)), second[c] = real(dot / (double(B) * pixels));
  }
  std::atomic<bool> failed{false};
#pragma omp parallel num_threads(threads)
  {
    if (!scratch.begin(size_t(2 * I + O) * dense + 6 * SLACK)) failed = true;
#pragma omp barrier
    if (!failed) {
      real *maps = scratch.take(size_t(I) * dense + SLACK, true), *behind = scratch.take(size_t(I) * dense + SLACK);
      real *raw = scratch.take(size_t(O) * dense + SLACK, true), *own = nullptr;
      if (kernel_grad) own = parts.data() + size_t(omp_get_thread_num()) * O * I;
#pragma omp for schedule(static)
      for (int b = 0; b < B; b++) {
        for (int c = 0; c < O; c++) {  // through the norm
          const long at = (long(b) * O + c) * pixels;
          real* to = raw + size_t(c) * dense;
          for (int q = 0; q < pixels; q++) to[q] = scale[c] * (g[at + q] - first[c] - z[at + q] * second[c]);
        }
        const real* from = x + long(b) * I * pixels;
        if (own) {
          for (int c = 0; c < I; c++) rectify(from + long(c) * pixels, pixels, maps + size_t(c) * dense);
          pointwise_kernel_gradient(raw, maps, dense, O, I, own);
        }
        if (!dx) continue;
        pointwise(kernel, 1, I, raw, dense, O, I, pixels, behind, dense);
        for (int c = 0; c < I; c++) {
          const real *xc = from + long(c) * pixels, *back = behind + size_t(c) * dense;
          real* to = dx + (long(b) * I + c) * pixels;
          for (int q = 0; q < pixels; q++) to[q] = xc[q] <= 0 ? 0 : back[q];
        }
      }
    }
  }
  if (failed) throw std::bad_alloc();
  if (kernel_grad) add_up(parts.data(), threads, long(O) * I, kernel_grad);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
