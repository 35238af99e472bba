// SPDX-License-Identifier: Apache-2.0
#include "oci/etc.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"

const char *const oci_etc_files[] = { [OCI_ETC_HOSTS] = "hosts",
                                      [OCI_ETC_HOSTNAME] = "hostname",
                                      [OCI_ETC_RESOLV_CONF] = "resolv.conf",
                                      NULL };

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

/* "name:address", split at the first ':' since an address may have more of them. */
static int add_extra_host(const char *text, struct zl_buf *out, struct zl_error *err)
{
    size_t n = strcspn(text, ":");
    const char *address = text[n] ? text + n + 1 : "";
    if (strcmp(address, "host-gateway") == 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "extra_hosts '%s': this container has no network that leads to the host",
                       text);
    zl_buf_addf(out, "%s\t%.*s\n", address, (int)n, text);
    return 0;
}

static int fill_hosts(const struct oci_etc *etc, struct zl_buf *out, struct zl_error *err)
{
    if (etc->host_network)
        add_of_host("/etc/hosts", out);
    if (out->len == 0)
        zl_buf_adds(out, "127.0.0.1\tlocalhost\n"
                         "::1\tlocalhost ip6-localhost ip6-loopback\n"
                         "fe00::0\tip6-localnet\n"
                         "ff02::1\tip6-allnodes\n"
                         "ff02::2\tip6-allrouters\n");
    /* All of 127/8 is on lo, so the name resolves with and without other addresses. */
    zl_buf_addf(out, "127.0.1.1\t%s\n", etc->hostname);
    for (size_t i = 0; !etc->host_network && etc->extra_hosts && i < etc->extra_hosts->n; i++)
        if (add_extra_host(etc->extra_hosts->v[i], out, err) < 0)
            return -1;
    return 0;
}

static int fill_hostname(const struct oci_etc *etc, struct zl_buf *out, struct zl_error *err)
{
    (void)err;
    zl_buf_addf(out, "%s\n", etc->hostname); /* the UTS namespace is its own in any case */
    return 0;
}

static int fill_resolv_conf(const struct oci_etc *etc, struct zl_buf *out, struct zl_error *err)
{
    (void)err;
    if (etc->host_network || !etc->dns || !etc->dns->n) {
        /* another network's servers may be out of reach: that is not ours to know */
        add_of_host("/etc/resolv.conf", out);
        return 0;
    }
    for (size_t i = 0; i < etc->dns->n; i++)
        zl_buf_addf(out, "nameserver %s\n", etc->dns->v[i]);
    zl_buf_adds(out, "options edns0\n");
    return 0;
}

int oci_etc_text(const struct oci_etc *etc, enum oci_etc_file which, struct zl_buf *out,
                 struct zl_error *err)
{
    static int (*const fill[])(const struct oci_etc *, struct zl_buf *, struct zl_error *) = {
        [OCI_ETC_HOSTS] = fill_hosts,
        [OCI_ETC_HOSTNAME] = fill_hostname,
        [OCI_ETC_RESOLV_CONF] = fill_resolv_conf,
    };
    return fill[which](etc, out, err) < 0 ? -1 : zl_buf_check(out, oci_etc_files[which], err);
}

int oci_etc_write(int dir_fd, const struct oci_etc *etc, struct zl_error *err)
{
    for (size_t i = 0; oci_etc_files[i]; i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(ETC_MAX);
        if (oci_etc_text(etc, (enum oci_etc_file)i, &text, err) < 0 ||
            zl_write_new(dir_fd, oci_etc_files[i], text.data, text.len, 0644, err) < 0)
            return -1;
    }
    return 0;
}
