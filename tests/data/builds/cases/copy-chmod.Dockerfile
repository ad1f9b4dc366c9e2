FROM alpine
COPY --chmod=600 a.txt /a
COPY --chmod=0750 dir /d
