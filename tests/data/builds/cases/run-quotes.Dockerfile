FROM alpine
RUN echo "it's" '"quoted"' \$HOME $((1+2)) > /q
