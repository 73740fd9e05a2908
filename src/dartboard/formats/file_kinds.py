"""What a file that is not a weight file is, by its first bytes: an interrupted download is the usual reason."""

KINDS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights; run git lfs pull"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"BZh", "is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "is compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it first"),
    (b"Rar!", "is a RAR archive; unpack it first"),
    (b"\x89HDF", "is HDF5, as Keras writes it; give safetensors or a file of torch.save"),
    (b"\x93NUMPY", "is an array of numpy; give safetensors or a file of torch.save"),
    (b"PK\x05\x06", "is an empty archive; copy or download it again"),
)
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
GENERAL = "is not a weight file; give safetensors or a file of torch.save"


def kind_of(start: bytes) -> str:
    """What the file is, and what to do, from its first 300 bytes."""
    if not start:
        return "is empty; copy or download it again"
    for mark, kind in KINDS:
        if start.startswith(mark):
            return kind
    if start[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith(PAGES):
        return "is a web page (HTML), not the weights; download the file itself"
    if text.startswith((b"{", b"[")):
        said = " ".join(text[:60].decode("utf-8", "replace").split())
        return f"is JSON, not weights: {said!r}; download the file again"
    return GENERAL
