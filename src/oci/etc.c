// SPDX-License-Identifier: Apache-2.0
#include "oci/etc.h"

#include <fcntl.h>

#include "base/buf.h"
#include "base/fd.h"

const char *const oci_etc_files[] = { "hosts", "hostname", "resolv.conf", NULL };

enum { ETC_MAX = 256 * 1024 };

/* Appends the host's own file; one that is missing or cannot be read adds nothing. */
static void add_of_host(const char *path, struct zl_buf *out)
{
    size_t before = out->len;
    if (zl_read_file(AT_FDCWD, path, out, NULL) < 0)
        out->len = before;
    if (out->len > before && out->data[out->len - 1] != '\n')
        zl_buf_addc(out, '\n');
}

static void fill_hosts(const char *hostname, bool host_network, struct zl_buf *out)
{
    if (host_network)
        add_of_host("/etc/hosts", out);
    if (out->len == 0)
        zl_buf_adds(out, "127.0.0.1\tlocalhost\n"
                         "::1\tlocalhost ip6-localhost ip6-loopback\n"
                         "fe00::0\tip6-localnet\n"
                         "ff02::1\tip6-allnodes\n"
                         "ff02::2\tip6-allrouters\n");
    /* All of 127/8 is on lo, so the name resolves with and without other addresses. */
    zl_buf_addf(out, "127.0.1.1\t%s\n", hostname);
}

static void fill_hostname(const char *hostname, bool host_network, struct zl_buf *out)
{
    (void)host_network; /* the UTS namespace is the container's own in any case */
    zl_buf_addf(out, "%s\n", hostname);
}

static void fill_resolv_conf(const char *hostname, bool host_network, struct zl_buf *out)
{
    (void)hostname;
    (void)
        host_network; /* another network's servers may be out of reach: that is not ours to know */
    add_of_host("/etc/resolv.conf", out);
}

int oci_etc_write(int dir_fd, const char *hostname, bool host_network, struct zl_error *err)
{
    static void (*const fill[])(const char *, bool, struct zl_buf *) = {
        fill_hosts,
        fill_hostname,
        fill_resolv_conf,
    };
    for (size_t i = 0; oci_etc_files[i]; i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(ETC_MAX);
        fill[i](hostname, host_network, &text);
        if (zl_buf_check(&text, oci_etc_files[i], err) < 0 ||
            zl_write_atomic(dir_fd, oci_etc_files[i], text.data, text.len, 0644, false, err) < 0)
            return -1;
    }
    return 0;
}
