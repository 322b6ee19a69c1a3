/* A GPU's blocks on a processor: one block after the other, its threads in turn from barrier to barrier.

   The kernels' own text is compiled after this. It may read and write arrays within their bounds alone, and what threads
   share only in an order that barriers fix: all else is an error that `said` tells. */
#include <cmath>
#include <cstdio>
#include <csetjmp>
#include <ucontext.h>
#include <vector>
using std::exp; using std::log; using std::sqrt;
#define __global__
#define __device__
#define __shared__ static
typedef long long Int;

struct Place { unsigned x, y, z; };
static Place threadIdx, blockIdx, blockDim, gridDim;
static char said[200];
static long now = 0, block_began = 0;  /* counts barriers over all blocks; where this block began */
static long me = 0;                    /* the thread of all threads of the launch */

static void complain(const char* what, const char* where, Int index) {
    if (!said[0])
        snprintf(said, sizeof said, "%s of %s at %lld, thread (%u, %u) of block (%u, %u)", what, where, index,
                 threadIdx.x, threadIdx.y, blockIdx.x, blockIdx.y);
}

/* who touched an entry last, and between which barriers */
struct Trace {
    long written, writer, read, reader;
    void at_read(const char* where, Int index, bool shared) {
        if (shared ? written < block_began : false) complain("a read before any write", where, index);
        bool open = shared ? written == now : written >= 0 && (written < block_began || written == now);
        if (open && writer != me) complain("a race (read after write)", where, index);
        reader = read == now && reader != me ? -1 : me;
        read = now;
    }
    void at_write(const char* where, Int index, bool shared) {
        bool open = shared ? written == now : written >= 0 && (written < block_began || written == now);
        if (open && writer != me) complain("a race (two writes)", where, index);
        if (read == now && reader != me) complain("a race (write after read)", where, index);
        written = now; writer = me;
    }
};

/* a T in shared memory */
template <class T> struct Watched {
    T value; Trace trace;  /* static: all zero at first, and `now` begins at 1 */
    operator T() { trace.at_read("shared memory", 0, true); return value; }
    Watched& operator=(T v) { trace.at_write("shared memory", 0, true); value = v; return *this; }
    Watched& operator=(Watched& other) { return *this = (T)other; }
    Watched& operator+=(T v) { return *this = (T)*this + v; }
};

/* an array of the device */
template <class T> struct Input {
    const T* p; Int size; const char* name;
    T operator[](Int i) const {
        if (i < 0 || i >= size) { complain("out of bounds", name, i); return 0; }
        return p[i];
    }
};
template <class T> struct Output {
    T* p; Int size; const char* name; std::vector<Trace>* traces;
    struct Entry {
        const Output& of; Int i; bool inside;
        operator T() const { if (!inside) return 0; (*of.traces)[i].at_read(of.name, i, false); return of.p[i]; }
        void operator=(T v) const { if (inside) { (*of.traces)[i].at_write(of.name, i, false); of.p[i] = v; } }
        void operator+=(T v) const { *this = (T)*this + v; }
    };
    Entry operator[](Int i) const {
        bool inside = i >= 0 && i < size;
        if (!inside) complain("out of bounds", name, i);
        return Entry{*this, i, inside};
    }
};

/* threads of a block: each has its own stack, and a barrier jumps back to the scheduler; they are made once */
struct Thread { jmp_buf here; bool ended; };
static std::vector<Thread*> threads;
static Thread* running;
static jmp_buf scheduler;
static ucontext_t beginning;
static void (*kernel_body)();
static const size_t STACK = 1 << 15;

static void __syncthreads() { if (!_setjmp(running->here)) _longjmp(scheduler, 1); }
static void live() {
    for (;;) {
        kernel_body();
        running->ended = true;
        __syncthreads();
    }
}
static void resume(Thread* thread) {
    running = thread;
    if (!_setjmp(scheduler)) _longjmp(thread->here, 1);
}
static void birth() {  /* the first time a thread only learns where it lives */
    if (!_setjmp(running->here)) swapcontext(new ucontext_t, &beginning);
    live();
}
static Thread* make_thread() {
    running = new Thread();
    ucontext_t* context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = new char[STACK];
    context->uc_stack.ss_size = STACK;
    makecontext(context, birth, 0);
    swapcontext(&beginning, context);
    return running;
}

static void run_blocks(const unsigned* grid, const unsigned* block, void (*body)()) {
    size_t count = block[0] * block[1];
    while (threads.size() < count) threads.push_back(make_thread());
    kernel_body = body;
    gridDim = Place{grid[0], grid[1], 1};
    blockDim = Place{block[0], block[1], 1};
    for (unsigned by = 0; by < grid[1]; by++) for (unsigned bx = 0; bx < grid[0]; bx++) {
        block_began = ++now;
        blockIdx = Place{bx, by, 0};
        for (size_t t = 0; t < count; t++) threads[t]->ended = false;
        for (size_t left = count; left;) {
            size_t finished = 0;
            for (size_t t = 0; t < count; t++) {
                if (threads[t]->ended) continue;
                threadIdx = Place{(unsigned)(t % block[0]), (unsigned)(t / block[0]), 0};
                me = ((long)by * grid[0] + bx) * count + t;
                resume(threads[t]);
                finished += threads[t]->ended;
            }
            if (finished && finished < left) complain("a barrier that some threads never reach", "the block", finished);
            left -= finished;
            now++;
        }
    }
}
