"""The cage in which a file's reader works: it sees its file and companions, and nothing else.

Parsing foreign binary files is the dangerous part. What a reader that was taken over could do is
refused by the kernel, where it has the means: Landlock (:mod:`.landlock`) for files and signals,
seccomp (:mod:`.seccomp`) for programs, the network and other processes. The hook of
:mod:`nexuslims_formats.sandbox` is the last wall, and gives the best reasons.
"""
