FROM alpine
COPY --chmod=u=rwX,go=rX dir /d
COPY --chmod=a+x a.txt /a
