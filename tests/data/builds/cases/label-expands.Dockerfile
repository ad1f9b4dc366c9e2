FROM alpine
ENV V=1
LABEL v=$V w="${V}x" x='$V'
