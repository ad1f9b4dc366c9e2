FROM alpine
COPY --chown=1:2 --chmod=711 a.txt <<inline /dir/
some text
inline
