# bar this
ARG foo
# baz
FROM scratch AS x
