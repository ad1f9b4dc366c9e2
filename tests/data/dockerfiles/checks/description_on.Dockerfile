# check=experimental=all
# bar this
ARG foo
# foo is this
ARG foo
# x
ARG a b
# base the base
FROM scratch AS base
# other
FROM scratch AS Bases
# free

FROM scratch AS blank
# one
#
FROM scratch AS empty
# nothing
FROM scratch
# stage arg
ARG q=1
