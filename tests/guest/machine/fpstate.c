/*
 * For LD_PRELOAD before linux.uml 6.1 on hosts whose processors have more floating point state than the 2696 bytes that it
 * keeps (Intel AMX: 11008). There PTRACE_SETREGSET with its short buffer fails and every program in the guest dies. This
 * reads the whole state, hands out what UML keeps, and adds zeroes (the rest in its initial state) to what it writes back.
 *
 *     cc -O2 -shared -fPIC -o fpstate.so fpstate.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202
#define LARGEST 16384

static long (*real)(int, ...);
static size_t whole; /* what the host keeps; known after the first read */

static long read_whole(int pid, void *kind, struct iovec *to)
{
	to->iov_len = LARGEST;
	long status = real(PTRACE_GETREGSET, pid, kind, to);
	if (status == 0)
		whole = to->iov_len;
	return status;
}

long ptrace(enum __ptrace_request request, ...)
{
	static __thread char state[LARGEST];
	struct iovec all = {.iov_base = state};
	va_list arguments;
	va_start(arguments, request);
	int pid = va_arg(arguments, int);
	void *kind = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (!real)
		real = (long (*)(int, ...))dlsym(RTLD_NEXT, "ptrace");
	if ((request != PTRACE_GETREGSET && request != PTRACE_SETREGSET) || (long)kind != NT_X86_XSTATE)
		return real(request, pid, kind, data);

	struct iovec *part = data;
	if (request == PTRACE_GETREGSET) {
		long status = read_whole(pid, kind, &all);
		if (status < 0)
			return status;
		if (part->iov_len > whole)
			part->iov_len = whole;
		memcpy(part->iov_base, state, part->iov_len);
		return status;
	}
	if (!whole) {
		long status = read_whole(pid, kind, &all);
		if (status < 0)
			return status;
	}
	if (part->iov_len >= whole)
		return real(request, pid, kind, data);
	memset(state, 0, whole);
	memcpy(state, part->iov_base, part->iov_len);
	all.iov_len = whole;
	return real(request, pid, kind, &all);
}
